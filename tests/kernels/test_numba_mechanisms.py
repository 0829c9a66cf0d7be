"""Mechanisms by numba's kernels against their equations in float64."""

import itertools
import math

import pytest
import torch
from mechanism_cases import SHAPES, TOLERANCE, assert_equal, build, by_equations, images
from pass_cases import case_name
from torch import nn

import foveate
from cover import cover
from foveate.kernels import inference

pytest.importorskip("numba")

MECHANISMS = sorted(set(inference.KERNELS) & set(foveate.list_attention()))
LAYOUTS = ("contiguous", "channels_last", "view")


def by_numba(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    foveate.set_path(module, "numba")
    with torch.inference_mode():
        return module(x)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(
    ("name", "shape", "team"),
    cover(itertools.product(MECHANISMS, SHAPES, [1, 2]), (0, 1), (0, 2), (1, 2)),
    ids=case_name,
    indirect=["team"],
)
def test_equals_the_equations(name, shape, team):
    module = build(name, shape[1])
    for layout in LAYOUTS:
        x = images(shape, layout)
        y = by_numba(module, x)
        assert_equal(y, by_equations(module, x))
        assert y.stride() == (x.contiguous() if layout == "view" else x).stride()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dmsca", {"kernel_sizes": (3,)}),
        ("dmsca", {"kernel_sizes": (1, 9, 3, 5, 7, 3, 3, 3)}),
        ("dmsca", {"mid_channels": 3}),
        ("dmsca", {"temperature": 0.5}),
        ("dmsca", {"reduction": 7}),
        ("cbam", {"kernel_size": 3}),
        ("cbam", {"reduction": 5}),
        ("ca", {"reduction": 4, "min_channels": 3}),
        ("simam", {"e_lambda": 0.1}),
    ],
    ids=str,
)
def test_options(name, options):
    module, x = build(name, 30, **options), images((3, 30, 6, 9))
    assert_equal(by_numba(module, x), by_equations(module, x))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("name", MECHANISMS)
def test_what_is_not_finite_comes_out_where_the_equations_have_it(name, layout, value):
    module, x = build(name, 20), images((3, 20, 9, 17), layout)
    x[1, 7, 4, 11] = value
    y, wanted = by_numba(module, x), by_equations(module, x)
    assert torch.equal(y.isfinite(), wanted.isfinite())
    assert_equal(y[[0, 2]], wanted[[0, 2]])  # no image touches another


@pytest.mark.parametrize("name", MECHANISMS)
def test_large_and_small_activations(name):
    module = build(name, 20)
    # DMSCA's F_multi multiplies the 9e-7 of A_dir: 1e4 of it make an error of 2e-3 in a gate.
    for scale, tolerance in ((1e-6, TOLERANCE), (10, TOLERANCE), (1e4, 1e-3)):
        x = scale * images((2, 20, 9, 17))
        assert_equal(by_numba(module, x), by_equations(module, x), tolerance)


@pytest.mark.parametrize("name", MECHANISMS)
def test_weights_are_read_anew_at_every_call(name):
    module, x = build(name, 16), images((1, 16, 8, 8))
    before = by_numba(module, x)
    for parameter in module.parameters():
        parameter.data.mul_(-1)
    for buffer in module.buffers():
        buffer.data.mul_(2)
    if list(module.parameters()):
        assert not torch.equal(by_numba(module, x), before)
    assert_equal(by_numba(module, x), by_equations(module, x))


@pytest.mark.parametrize("name", MECHANISMS)
def test_weights_in_any_layout(name):
    module, x = build(name, 16), images((2, 16, 8, 8))
    assert_equal(by_numba(module.to(memory_format=torch.channels_last), x), by_equations(module, x))


@pytest.mark.slow
@pytest.mark.parametrize("name", MECHANISMS)
def test_compiles_to_one_operator(name):
    module, x = build(name, 16), images((2, 16, 8, 8))
    foveate.set_path(module, "numba")  # auto takes the equations of some there
    with torch.inference_mode():
        y = torch.compile(module, fullgraph=True, backend="aot_eager")(x)
    assert_equal(y, by_equations(module, x))


def test_opcheck():
    module, x = build("dmsca", 16), images((2, 16, 8, 8))
    with torch.no_grad():
        parts = inference.find_parts(module, x, "dmsca")
        numbers = parts.numbers
        weights = [weight.detach() for weight in parts.weights]
        torch.library.opcheck(torch.ops.foveate.attend, (x, weights, numbers, "dmsca"))
