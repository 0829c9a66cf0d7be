"""Training on a CPU: numba's passes against float64, and whole mechanisms by them against their equations."""

import copy
import itertools
import math

import pass_cases
import pytest
import torch
from mechanism_cases import build, images
from pass_cases import SHAPES, case_name
from torch import Tensor, nn

import foveate
from cover import cover
from foveate.kernels import choose_path, cpu_passes, only_reference, operators

pytest.importorskip("numba")

PASSES = ("pool", "pool_channels", "pool_channels plain", "gate channels positions", "fuse", "fuse of 3")
KERNEL_SIZES = (1, 3, 7, 9)
# Of a gradient, over the largest: sums of up to 12,544 terms in another order, and the gates' 9e-7.
TOLERANCE = 2e-5


def arguments(name: str, shape: tuple[int, ...]) -> list:
    if name == "gate channels positions":
        x, scale, _, _, positions = pass_cases.arguments("gate", shape)
        return [x, scale, None, None, positions]
    if name == "fuse of 3":
        return pass_cases.arguments("fuse", shape, mid=3)
    return pass_cases.arguments(name, shape)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(
    ("name", "shape", "team"),
    cover(itertools.product(PASSES, SHAPES, [1, 2]), (0, 1), (0, 2), (1, 2)),
    ids=case_name,
    indirect=["team"],
)
def test_a_pass_and_its_gradients_equal_the_reference(name, shape, team):
    given = arguments(name, shape)
    plain = name.split()[0]
    for backward in (False, True):
        launcher = cpu_passes.find_launcher(plain, given, backward=backward)
        assert (launcher is None) == (shape[2:] == (1, 1))
    outputs, gradients = pass_cases.truth(plain, given)
    found, d_found = pass_cases.outputs_and_gradients(getattr(operators, plain), given)
    pass_cases.assert_close(found, outputs, f"{name}, output")
    pass_cases.assert_close(d_found, gradients, f"{name}, gradient of argument")


@pytest.mark.parametrize("name", PASSES)
def test_gradients_lie_in_memory_as_a_compiled_program_expects(name):
    given = [
        one.requires_grad_() if isinstance(one, Tensor) else one for one in arguments(name, (2, 16, 6, 8))
    ]
    y = getattr(operators, name.split()[0])(*given)
    parts = (y,) if isinstance(y, Tensor) else y
    leaves = operators.tensors(given)
    gradients = torch.autograd.grad(parts, leaves, [torch.ones_like(part) for part in parts])
    assert [d.stride() for d in gradients] == [operators.like(leaf).stride() for leaf in leaves]


@pytest.mark.parametrize(("name", "taken"), [("dmsca", True), ("cbam", False)])
def test_torch_compile_takes_the_passes_where_they_were_faster(name, taken):
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    module = build(name, 16).train()
    x = images((2, 16, 6, 6)).requires_grad_()
    compiled = torch.compile(module, fullgraph=True, backend=backend)
    d = torch.autograd.grad(compiled(x).square().sum(), [x, *module.parameters()])
    assert any(target.startswith("foveate") for target in seen) == taken
    expected = torch.autograd.grad(module(x).square().sum(), [x, *module.parameters()])
    for one, other in zip(d, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "mode", "ratio"), [("cbam", "train", 1.11), ("simam", "eval", 1.32)])
def test_why_compiled_equations_are_taken_instead_of_the_kernels(name, mode, ratio, monkeypatch):
    module, x = getattr(build(name, 16), mode)(), images((2, 16, 6, 6))
    with torch.set_grad_enabled(mode == "train"):
        assert choose_path(module, x, name).path == "numba"
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        taken = choose_path(module, x, name)
        assert taken.path == "reference"
        assert f"{ratio} × the time of what runs instead on cpu in compiled networks" in taken.reason
        assert choose_path(foveate.set_path(module, "numba"), x, name).path == "numba"


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("size", KERNEL_SIZES)
@pytest.mark.parametrize("shape", [(1, 2, 1, 5), (5, 2, 13, 29), (2, 2, 56, 56)], ids=case_name)
def test_the_convolution_of_a_pair_equals_that_of_torch(shape, size):
    draw = torch.Generator().manual_seed(size)
    given = [torch.randn(shape, generator=draw), torch.randn(1, 2, size, size, generator=draw)]
    assert cpu_passes.find_launcher("convolve_pair", given, backward=True) is not None
    outputs, gradients = pass_cases.truth("convolve_pair", given)
    found, d_found = pass_cases.outputs_and_gradients(operators.convolve_pair, given)
    pass_cases.assert_close(found, outputs, "output")
    pass_cases.assert_close(d_found, gradients, "gradient of argument")


def test_channels_and_elements_that_are_equal_share_the_gradient_of_the_maximum():
    x = torch.tensor([[2.0, 2.0, 1.0, 2.0], [2.0, 0.0, 1.0, 3.0]]).reshape(1, 2, 2, 2)
    for name, given in (("pool", [x]), ("pool_channels", [x, torch.ones(1, 2)])):
        _, expected = pass_cases.truth(name, given)
        _, found = pass_cases.outputs_and_gradients(getattr(operators, name), given)
        pass_cases.assert_close(found, expected, name)


def gradients(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The output, the gradient of the input and of each parameter, and the statistics that were tracked."""
    x = x.detach().requires_grad_()
    y = module(x)
    up = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    names, parameters = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(y, [x, *parameters], up)
    buffers = {name: buffer for name, buffer in module.named_buffers() if buffer.dtype.is_floating_point}
    return dict(zip(("output", "input", *names), (y.detach(), *found), strict=False)) | buffers


OPTIONS = [
    ("dmsca", {}),
    ("dmsca", {"kernel_sizes": (1, 9)}),
    ("dmsca", {"mid_channels": 3, "temperature": 0.5}),
    ("cbam", {}),
    ("cbam", {"kernel_size": 3}),
]


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("shape", [(5, 16, 9, 17), (1, 60, 1, 8), (2, 3, 2, 1)], ids=case_name)
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_a_mechanism_has_the_gradients_of_its_equations(name, options, shape, mode):
    module = build(name, shape[1], **options).train(mode == "training")
    x = images(shape)
    assert choose_path(module, x, name)[:2] == ("numba", "the fastest there is")
    with only_reference():
        expected = gradients(copy.deepcopy(module).double(), x.double())
    found = gradients(module, x)
    largest = max(one.abs().max().item() for one in expected.values())
    for key, of in expected.items():
        # A gradient that cancels to nothing is held against the largest of all.
        scale = max(of.abs().max().item(), 1e-2 * largest)
        assert (found[key] - of).abs().max().item() <= TOLERANCE * scale, key


@pytest.mark.parametrize("name", ["dmsca", "cbam"])
def test_a_part_with_a_hook_or_another_forward_is_called(name):
    module, x, seen = build(name, 16).train(), images((2, 16, 6, 6)), []
    convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d) and one.in_channels == 2]
    if name == "dmsca":
        convolutions.append(module.dii.interact[0])
    for conv in convolutions:
        conv.register_forward_hook(lambda *given: seen.append(given[0]))
    expected = module(x)
    assert set(seen) == set(convolutions)
    for conv in convolutions:
        conv.forward = lambda y, own=conv: 0 * type(own).forward(own, y)
    assert not torch.equal(module(x), expected)


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (
            lambda x: x.contiguous(memory_format=torch.channels_last),
            "not contiguous, as its kernels in training",
        ),
        (lambda x: x.double(), "not float32"),
        (lambda x: x[:0], "empty"),
    ],
    ids=["channels_last", "float64", "empty"],
)
def test_where_the_passes_cannot_run_the_reason_is_given(arrange, said):
    x = arrange(images((2, 16, 6, 6)))
    choice = choose_path(build("dmsca", 16).train().to(x.dtype), x, "dmsca")
    assert choice.path == "rearranged"
    assert said in choice.reason


def test_under_autocast_the_equations_run():
    module, x = build("cbam", 16).train(), images((2, 16, 6, 6))
    with torch.autocast("cpu", torch.bfloat16):
        choice = choose_path(module, x, "cbam")
    assert (choice.path, "autocast is on" in choice.reason) == ("reference", True)


def test_what_is_not_finite_reaches_the_output_of_its_image_alone():
    for name, value in itertools.product(("dmsca", "cbam"), (math.nan, math.inf)):
        module, x = build(name, 20), images((3, 20, 9, 17))  # in evaluation, where images are independent
        x[1, 7, 4, 11] = value
        with only_reference():
            expected = copy.deepcopy(module).double()(x.double())
        found = module(x)
        assert choose_path(module, x, name).path == "numba"
        assert torch.equal(found.isfinite(), expected.isfinite())
        torch.testing.assert_close(found[[0, 2]], expected[[0, 2]].float(), rtol=1e-4, atol=1e-5)
