"""Whole mechanisms with every part drawn at random, and their equations in float64."""

import copy
import math

import torch
from pass_cases import lay_out
from torch import Tensor, nn

from foveate.attention import create_attention
from foveate.kernels import only_reference

# The largest difference over the largest absolute value of the equations in float64. Two gates by rational
# functions, 9e-7 each, times what is divided by them; then sums of up to 2048 terms in another order.
TOLERANCE = 1e-5

SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 1, 5),
    (33, 3, 7, 7),
    (1, 60, 13, 29),
    (33, 60, 2, 1),
    (1, 3, 56, 56),
    (3, 2048, 7, 7),
    (2, 64, 56, 56),
]


def build(name: str, channels: int, **options: object) -> nn.Module:
    """A mechanism in eval, nothing of it at its initial value."""
    if "reduction" not in options and name in ("dmsca", "cbam"):
        options["reduction"] = min(16, channels)
    torch.manual_seed(channels)
    module = create_attention(name, channels, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for buffer in module.buffers():
            if buffer.dtype.is_floating_point:
                buffer.uniform_(0.5, 2)
    return module.eval()


def images(shape: tuple[int, ...], layout: str = "contiguous") -> Tensor:
    torch.manual_seed(sum(shape))
    return lay_out(torch.randn(shape), layout)


def by_equations(module: nn.Module, x: Tensor) -> Tensor:
    """The module's own forward in float64."""
    with only_reference(), torch.no_grad():
        return copy.deepcopy(module).double()(x.double())


def assert_equal(y: Tensor, wanted: Tensor, tolerance: float = TOLERANCE) -> None:
    """Compare, NaN and infinities included."""
    assert torch.equal(y.isnan(), wanted.isnan())
    assert torch.equal(y.isinf(), wanted.isinf())
    finite = wanted.isfinite()
    if finite.any():
        scale = wanted[finite].abs().max().item()
        assert (y[finite] - wanted[finite]).abs().max().item() <= tolerance * max(scale, math.ulp(0))
