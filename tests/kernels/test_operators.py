"""The passes as operators: what torch's tracing asks of them, and the Triton kernels where there is a GPU."""

from collections.abc import Callable
from typing import Any

import mechanism_cases
import pass_cases
import pytest
import torch
from pass_cases import CASES, PASSES, case_name
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from triton_compiled import compiled

from foveate.errors import RequestError
from foveate.kernels import choose_path, operators
from foveate.kernels.parts import read_parts

pytestmark = pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION:UserWarning")  # of Triton 3.9
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, no_gpu])]


def on_gpu(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that runs on a GPU alone."""
    return pytest.mark.gpu(no_gpu(test))


def check(name: str, given: list[Any], function: Callable[..., Any] | None = None) -> None:
    """Hold an operator and all its gradients against float64."""
    outputs, gradients = pass_cases.truth(name, given)
    found, d_found = pass_cases.outputs_and_gradients(
        function or pass_cases.function_of(name, operators), given
    )
    assert {y.dtype for y in found} == {given[0].dtype}
    assert [d.dtype for d in d_found] == [part.dtype for part in pass_cases.tensors(given)]
    pass_cases.assert_close(found, outputs, f"{name}, output")
    pass_cases.assert_close(d_found, gradients, f"{name}, gradient of argument")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # of opcheck itself
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", PASSES)
def test_an_operator_keeps_its_promises_to_torch(name: str, device: str) -> None:
    # Of two channels, so that what is pooled over channels has the shape of x.
    given = pass_cases.arguments(name, (3, 2, 5, 6), layout="channels_last", device=device)
    operator = getattr(torch.ops.foveate, name.split()[0]).default
    leaves = [part.requires_grad_() if isinstance(part, Tensor) else part for part in given]
    torch.library.opcheck(operator, leaves)
    outputs = [y.detach() for y in pass_cases.tensors(operator(*given))]
    given = [part.detach() if isinstance(part, Tensor) else part for part in given]
    kept = [outputs[2]] if name == "pool" else []
    backward = getattr(torch.ops.foveate, f"{name.split()[0]}_backward").default
    torch.library.opcheck(backward, [*given, *kept, *pass_cases.upstream(outputs)])


@pytest.mark.parametrize(("name", "shape", "dtype", "layout"), CASES[::3], ids=case_name)
def test_on_a_cpu_they_are_the_reference_passes(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, layout: str
) -> None:
    check(name, pass_cases.arguments(name, shape, dtype, layout))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["pool_channels", "gate", "fuse"])
def test_small_arguments_in_another_dtype(name: str, device: str) -> None:
    check(name, pass_cases.arguments(name, (2, 3, 4, 5), torch.bfloat16, device=device, small=torch.float32))


@pytest.mark.parametrize("small", [torch.float64, torch.float32], ids=case_name)
@pytest.mark.parametrize("name", PASSES)
def test_float64_stays_float64(name: str, small: torch.dtype) -> None:
    given = pass_cases.arguments(name, (2, 3, 4, 5), torch.float64, small=small)
    found, _ = pass_cases.outputs_and_gradients(pass_cases.function_of(name, operators), given)
    outputs, _ = pass_cases.truth(name, given)
    for y, of in zip(found, outputs, strict=True):
        torch.testing.assert_close(y, of, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", PASSES)
def test_arithmetic_is_float32_under_autocast(name: str, device: str) -> None:
    given = pass_cases.arguments(name, (2, 3, 4, 5), device=device)
    with torch.autocast(device, torch.bfloat16):
        check(name, given)


class Chain(nn.Module):
    """All five passes in a row, with parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(pass_cases.arguments("fuse", (1, 3, 5, 6))[4:])

    def forward(self, x: Tensor) -> Tensor:
        rows, columns, top = operators.pool(x)
        pooled = operators.pool_channels(x, top.sigmoid())
        x = operators.gate(x, top.sigmoid(), rows, columns, pooled[:, :1])
        x = operators.simam(x, 1e-4)
        product = (rows.unsqueeze(3) + columns.unsqueeze(2)).repeat(1, 3, 1, 1)[:, :8]
        return operators.fuse(x, top.sigmoid(), pooled[:, 1:], product, *(self.weights[i] for i in range(5)))


def gradients(function: Callable[[Tensor], Tensor], chain: Chain, x: Tensor) -> list[Tensor]:
    """The output and the gradients of the input and of every parameter."""
    x = x.detach().requires_grad_()
    y = function(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *chain.parameters()])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_torch_compile_sees_whole_operations(layout: str, device: str) -> None:
    chain = Chain().to(device)
    x = pass_cases.lay_out(torch.randn(2, 3, 5, 6, device=device), layout)
    backend = "aot_eager" if device == "cpu" else "inductor"
    compiled = torch.compile(chain, fullgraph=True, backend=backend)
    torch.testing.assert_close(gradients(compiled, chain, x), gradients(chain, chain, x))


def test_torch_export_keeps_them_as_operations() -> None:
    chain = Chain().eval()
    x = torch.randn(2, 3, 5, 6)
    exported = torch.export.export(
        chain, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},)
    )
    called = [str(node.target) for node in exported.graph.nodes if "foveate" in str(node.target)]
    assert called == [
        f"foveate.{name}.default" for name in ("pool", "pool_channels", "gate", "simam", "fuse")
    ]
    more = torch.randn(5, 3, 5, 6)
    torch.testing.assert_close(exported.module()(more), chain(more))


def test_checkpointing_computes_them_again() -> None:
    chain, x = Chain(), torch.randn(2, 3, 5, 6)
    expected = gradients(chain, chain, x)
    found = gradients(lambda x: checkpoint(chain, x, use_reentrant=False), chain, x)
    torch.testing.assert_close(found, expected)


def test_nothing_large_is_kept_for_the_backward_but_x() -> None:
    x, *others = pass_cases.arguments("fuse", (2, 64, 8, 8), mid=2)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        operators.fuse(x.requires_grad_(), *others)
    assert [part.shape for part in kept if part.numel() >= x.numel()] == [x.shape]


def test_second_derivatives_are_refused() -> None:
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    (d,) = torch.autograd.grad(operators.simam(x, 1e-4).sum(), x, create_graph=True)
    with pytest.raises(RequestError, match="second derivatives of foveate's simam are not implemented"):
        d.sum().backward()


@pytest.mark.parametrize("dtype", [torch.int64, torch.float8_e4m3fn, torch.complex64], ids=case_name)
def test_other_dtypes_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(RequestError, match=f"not {dtype}"):
        operators.pool(torch.ones(1, 2, 3, 4).to(dtype))


def test_why_not_says_what_triton_cannot_take(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operators.why_not(torch.zeros(1, 1, 1, 1)) == "x is on cpu, and the Triton kernels run on a GPU"

    class OnGpu:
        device, dtype, shape = torch.device("cuda"), torch.float32, torch.Size((1, 2, 3, 4))

    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(operators, "TRITON", True)
    x: Any = OnGpu()
    assert operators.why_not(x) is None
    x.dtype = torch.float8_e4m3fn
    assert "x is torch.float8_e4m3fn, and" in operators.why_not(x)
    x.dtype, x.shape = torch.bfloat16, torch.Size((1, 2**11, 2**10, 2**10))
    assert "2³¹ elements or more" in operators.why_not(x)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert "compute capability" in operators.why_not(x)
    monkeypatch.setattr(operators, "TRITON", False)
    assert operators.why_not(x) == "Triton is not installed"


@pytest.mark.skipif(not operators.TRITON, reason="Triton is not installed")
@pytest.mark.parametrize(
    ("shape", "dtype", "layout"),
    [((2, 3, 5, 32), torch.bfloat16, "channels_last"), ((1, 1, 1, 1), torch.float32, "contiguous")],
    ids=case_name,
)
@pytest.mark.parametrize("name", [name for name in PASSES if name != "gate channels"])
def test_kernels_compile_for_a_gpu(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, layout: str
) -> None:
    given = pass_cases.arguments(name, shape, dtype, layout, mid=2)
    outputs = pass_cases.tensors(pass_cases.function_of(name, operators)(*given))
    kept = [outputs[2]] if name == "pool" else []
    module = {"pool_channels": "channels"}.get(name.split()[0], name.split()[0])
    backward_module = "fuse_backward" if name == "fuse" else module
    with compiled(90) as kernels:
        operators.run_triton(module, name.split()[0], *given)
        ups = pass_cases.upstream(outputs)
        operators.run_triton(backward_module, f"{name.split()[0]}_backward", *given, *kept, *ups)
    assert len(kernels) >= 2


def test_dmsca_in_one_call_compiles_for_a_gpu() -> None:
    parts = read_parts(mechanism_cases.build("dmsca", 16, mid_channels=2), "dmsca")
    with compiled(90) as kernels:
        operators.run_triton("dmsca", "attend", torch.ones(2, 16, 4, 5), parts.weights, parts.numbers)
    assert len(kernels) == 7


@on_gpu
@pytest.mark.parametrize("dtype", pass_cases.DTYPES, ids=case_name)
@pytest.mark.parametrize("shape", [(2, 60, 13, 29), (1, 256, 56, 56), (33, 2048, 7, 7)], ids=case_name)
@pytest.mark.parametrize("layout", pass_cases.LAYOUTS)
def test_dmsca_in_one_call(layout: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    module = mechanism_cases.build("dmsca", shape[1]).to("cuda", dtype)
    x = mechanism_cases.images(shape, layout).to("cuda", dtype)
    wanted = mechanism_cases.by_equations(module, x)
    with torch.inference_mode():
        assert choose_path(module, x, "dmsca").parts is not None
        y = module(x)
    pass_cases.assert_close([y], [wanted], "dmsca", {dtype: 4 * pass_cases.TOLERANCE[dtype]})


@on_gpu
@pytest.mark.parametrize(("name", "shape", "dtype", "layout"), CASES, ids=case_name)
def test_compiled_kernels(name: str, shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> None:
    check(name, pass_cases.arguments(name, shape, dtype, layout, "cuda"))


@on_gpu
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", pass_cases.DTYPES, ids=case_name)
@pytest.mark.parametrize("shape", [(16, 256, 56, 56), (33, 2048, 7, 7), (1, 60, 333, 517)], ids=case_name)
@pytest.mark.parametrize("name", PASSES)
def test_compiled_kernels_on_larger_maps(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, layout: str
) -> None:
    check(name, pass_cases.arguments(name, shape, dtype, layout, "cuda"))


@on_gpu
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", PASSES)
def test_compiled_kernels_with_nan_and_infinity(name: str, value: float, layout: str) -> None:
    given = pass_cases.arguments(name, (4, 3, 5, 6), layout=layout, device="cuda")
    given[0][1, 1, 2, 3] = value
    check(name, given)


@on_gpu
@pytest.mark.parametrize("name", PASSES)
def test_a_cuda_graph_replays_them(name: str) -> None:
    given = pass_cases.arguments(name, (2, 60, 13, 29), torch.bfloat16, "channels_last", "cuda")
    operator = pass_cases.function_of(name, operators)
    with torch.no_grad():
        operator(*given)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = pass_cases.tensors(operator(*given))
        given[0].copy_(given[0].roll(1, 2))
        graph.replay()
        expected = pass_cases.tensors(operator(*given))
    for y, of in zip(outputs, expected, strict=True):
        torch.testing.assert_close(y, of, rtol=0, atol=0)


@on_gpu
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_a_batch_of_more_than_two_to_the_31_elements(layout: str) -> None:
    x = pass_cases.lay_out(torch.ones(2**11 + 1, 2**10, 32, 32, device="cuda", dtype=torch.bfloat16), layout)
    x[-1, -1, -1, -1] = 3
    with torch.no_grad():
        assert operators.pool(x)[2].float().sum().item() == x.shape[0] * x.shape[1] + 2
        assert operators.gate(x, torch.ones(x.shape[:2], device="cuda"))[-1, -1, -1, -1].item() == 3
        assert operators.pool_channels(x, None)[-1, 1, -1, -1].item() == 3
