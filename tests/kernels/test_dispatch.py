"""The choice of a kernel path: which one is taken, the reason, and what is refused."""

import pytest
import torch
from mechanism_cases import assert_equal, build, by_equations, images
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import foveate
from foveate.errors import RequestError
from foveate.kernels import choose_path, inference, numba_modules, only_reference


def choice(module: nn.Module, x: torch.Tensor, name: str = "dmsca"):
    return choose_path(module, x, name)


@pytest.fixture
def module():
    return build("dmsca", 16)


X = images((2, 16, 6, 6))


def test_inference_on_a_cpu_takes_numba(module):
    with torch.inference_mode():
        assert choice(module, X)[:2] == ("numba", "the fastest there is")
    with torch.no_grad():
        assert choice(module, X).path == "numba"


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (lambda module, x: (module.double(), x.double()), "not float32"),
        (lambda module, x: (module.double(), x), "a weight is not float32"),
        (lambda module, x: (module, x[:0]), "empty"),
        (lambda module, x: (module, x[:, :8]), "channels"),
    ],
    ids=["float64", "mixed", "empty", "channels"],
)
def test_where_numba_cannot_run_the_reason_is_given(module, arrange, said):
    module, x = arrange(module, X)
    with torch.no_grad():
        taken = choice(module, x)
    assert taken.path == "rearranged"
    assert said in taken.reason


def test_inference_on_a_gpu_is_one_call_of_all_of_dmsca(module):
    with torch.no_grad():
        assert inference.find_gpu_parts(module, X, "dmsca").module is module
        assert inference.find_gpu_parts(build("dmsca", 16, kernel_sizes=(1, 3, 5, 7)), X, "dmsca") is None
        assert inference.find_gpu_parts(build("cbam", 16), X, "cbam") is None
        assert inference.find_gpu_parts(module.train(), X, "dmsca") is None
    assert inference.find_gpu_parts(module.eval(), X, "dmsca") is None  # gradients are on


def test_gradients_take_numba_or_the_rearranged_path(module):
    assert choice(module, X)[:2] == ("numba", "the fastest there is")
    with torch.no_grad():  # a network in training mode, whose norms take the statistics of the batch
        assert choice(module.train(), X).path == "numba"
    taken = choice(module, X.contiguous(memory_format=torch.channels_last))
    assert taken.path == "rearranged"
    assert "not contiguous" in taken.reason


def test_autocast_takes_the_rearranged_path(module):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in choice(module, X).reason


def test_without_numba_the_reason_says_how_to_install_it(module, monkeypatch):
    monkeypatch.setattr(numba_modules, "NUMBA", False)
    with torch.no_grad():
        assert "pip install 'foveate[fast]'" in choice(module, X).reason


def test_a_part_that_has_a_hook_or_was_replaced_is_run(module):
    seen = []
    handle = module.msce.register_forward_hook(lambda *arguments: seen.append(1))
    with torch.no_grad():
        assert "hook" in choice(module, X).reason
        module(X)
    handle.remove()
    assert seen == [1] or choice(module, X).path == "numba"
    module.gce.mlp[1] = nn.Tanh()
    with torch.no_grad():
        assert "parts are not those" in choice(module, X).reason
    assert_equal_to_equations(module)


def test_a_module_without_one_of_its_parts_takes_the_equations():
    module = build("dmsca", 16, aa=False)
    with torch.inference_mode():
        assert choice(module, X)[:2] == (
            "reference",
            "no numba: parts are excluded (aa), and this path needs all of them; "
            "no rearranged: parts are excluded (aa), and this path needs all of them",
        )
    assert_equal_to_equations(module)
    for path in ("numba", "rearranged", "triton"):
        foveate.set_path(module, path)
        with pytest.raises(RequestError, match=rf"no {path}: parts are excluded \(aa\)"):
            module(X)


def test_a_part_that_is_removed_after_a_call_is_noticed(module):
    with torch.inference_mode():
        module(X)
    module.aa = None
    assert_equal_to_equations(module)
    with torch.inference_mode():
        assert choice(module, X).path == "reference"


def assert_equal_to_equations(module: nn.Module) -> None:
    with torch.inference_mode():
        assert_equal(module(X), by_equations(module, X))


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_transforms_of_torch_func_get_the_equations(module):
    cbam = build("cbam", 16)
    with torch.no_grad():
        each = torch.func.vmap(lambda x: cbam(x[None])[0])(X)
        _, tangent = torch.func.jvp(cbam, (X,), (torch.ones_like(X),))
    assert_equal(each, by_equations(cbam, X))
    assert tangent.abs().sum() > 0


def test_half_as_the_default_dtype(module):
    wanted = by_equations(module, X)
    torch.set_default_dtype(torch.float16)
    try:
        with torch.inference_mode():
            y = module(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_equal(y, wanted)


def test_weights_on_another_device_are_an_error(module):
    with torch.inference_mode():
        module(X)
        module.dff.to("meta")
        assert "not on cpu" in choice(module, X).reason
        with pytest.raises(RuntimeError, match="device"):
            module(X)


def test_kernels_that_cannot_be_loaded_are_no_error(module, monkeypatch):
    def fail(name):
        raise ImportError("Numba needs NumPy 2.4 or less")

    monkeypatch.setattr(numba_modules, "import_module", fail)
    monkeypatch.setattr(numba_modules, "_imported", numba_modules._imported.__wrapped__)
    with torch.no_grad():
        assert "Numba needs NumPy" in choice(module, X).reason
        module(X)


def test_only_reference(module):
    with torch.no_grad(), only_reference():
        assert choice(module, X).path == "reference"
    with torch.no_grad():
        assert choice(module, X).path == "numba"


def test_flop_counters_see_the_operations_of_the_equations(module):
    def count(device: str) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module.to(device)(X.to(device))
        return counter.get_total_flops()

    assert count("cpu") == count("meta") > 0


def test_another_device_takes_the_equations(module):
    with torch.no_grad():
        assert choice(module.to("meta"), X.to("meta"))[:2] == (
            "reference",
            "there are no kernels for this device",
        )


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.complex64]
)
def test_a_map_that_is_not_floating_is_refused(module, dtype):
    with pytest.raises(RequestError, match=str(dtype)):
        module(torch.zeros(1, 16, 4, 4).to(dtype))


def test_a_path_asked_for_by_name_is_taken_or_raises(module):
    for path in ("reference", "rearranged"):
        foveate.set_path(module, path)
        assert choice(module, X)[:2] == (path, "asked for by name")
    foveate.set_path(module, "numba")
    with pytest.raises(RequestError, match="no numba: the map is not contiguous"):
        module(X.contiguous(memory_format=torch.channels_last))
    foveate.set_path(module, "triton")
    with pytest.raises(RequestError, match="no triton: x is on cpu"):
        module(X)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")
def test_tracing_and_exporting_take_the_equations(module):
    with torch.no_grad():
        program = torch.export.export(module, (X,))
        traced = torch.jit.trace(module, X)
    assert not [node for node in program.graph.nodes if "foveate" in str(node.target)]
    for other in (program.module(), traced):
        assert torch.allclose(other(X).double(), by_equations(module, X), atol=1e-6)


def test_training_on_the_rearranged_path_equals_training_by_the_equations(module):
    module.train()
    module = module.double()
    x = X.double()
    found = []
    for path in ("reference", "rearranged"):
        foveate.set_path(module, path)
        module.zero_grad()
        statistics = {key: value.clone() for key, value in module.state_dict().items()}
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        found.append([y.detach(), leaf.grad, *(p.grad for p in module.parameters())])
        found[-1] += [buffer.clone().double() for buffer in module.buffers()]
        module.load_state_dict(statistics)
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-10, rtol=1e-8)
