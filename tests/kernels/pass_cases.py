"""Inputs for the passes, their values and gradients in float64, and how far each dtype may be from them."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.kernels import reference

# Compared is the largest difference over the largest absolute value of the float64 tensor, for every output
# and gradient. All arithmetic is float32 or wider. What is left is:
#   float32   sums of up to 2048 × 49 terms in another order, exp: a few hundred roundings of 6e-8;
#   bfloat16  one rounding of the result to 8 bits, at most 2⁻⁸ = 3.91e-3 of it, and a GPU's σ of bfloat16
#             (triton/sigmoid.py), off by at most 2⁻¹² = 2.4e-4, twice;
#   float16   one rounding of the result to 11 bits, at most 2⁻¹¹ = 4.89e-4 of it, and the float32 error.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4.5e-3, torch.float16: 5.1e-4}

# B, C, H, W: one channel, few, not a power of two, many (from 128 a pixel at a time); odd and even maps; one
# image and many.
SHAPES = [
    (1, 1, 1, 1),
    (33, 3, 1, 1),
    (2, 60, 7, 7),
    (1, 60, 13, 29),
    (3, 3, 13, 29),
    (1, 3, 56, 56),
    (1, 2048, 7, 7),
    (2, 1, 56, 56),
    (1, 2048, 1, 1),
    (2, 160, 3, 5),
]
LAYOUTS = ("contiguous", "channels_last", "view")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
PASSES = (
    "pool",
    "pool_channels",
    "pool_channels plain",
    "gate",
    "gate channels",
    "gate rows columns",
    "simam",
    "fuse",
)
# Each pass meets each shape once, and each of the nine pairs of a dtype and a layout once; what is only
# another choice of arguments meets a third of them.
PAIRS = list(itertools.product(DTYPES, LAYOUTS))
CASES = [
    (name, shape, *PAIRS[(i + j) % len(PAIRS)])
    for i, name in enumerate(PASSES)
    for j, shape in enumerate(SHAPES)
    if " " not in name or (i + j) % 3 == 0
]


def case_name(part: Any) -> str:
    """Name a part of a case for pytest."""
    return "x".join(map(str, part)) if isinstance(part, tuple) else str(part).removeprefix("torch.")


def lay_out(x: Tensor, layout: str) -> Tensor:
    """Give x in a layout; a view has gaps along every axis."""
    if layout == "view":
        B, C, H, W = x.shape
        wide = torch.full((B, C + 1, 2 * H, W + 3), math.nan, dtype=x.dtype, device=x.device)
        wide[:, 1:, ::2, 2 : W + 2] = x
        return wide[:, 1:, ::2, 2 : W + 2]
    return x.contiguous(
        memory_format=torch.channels_last if layout == "channels_last" else torch.contiguous_format
    )


def arguments(
    name: str,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
    layout: str = "contiguous",
    device: str = "cpu",
    mid: int = 8,
    small: torch.dtype | None = None,
) -> list[Any]:
    """Draw the arguments of a pass for x of a shape; the small ones may have a dtype of their own."""
    draw = torch.Generator().manual_seed(len(name) + sum(shape))

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=draw).to(small or dtype).to(device)

    B, C, H, W = shape
    x = lay_out(torch.randn(*shape, generator=draw).to(dtype).to(device), layout)
    scale, rows, columns = normal(B, C).sigmoid(), normal(B, C, H).sigmoid(), normal(B, C, W).sigmoid()
    positions = normal(B, 1, H, W).sigmoid()
    match name:
        case "pool":
            return [x]
        case "pool_channels":
            return [x, scale]
        case "pool_channels plain":
            return [x, None]
        case "gate":
            return [x, scale, rows, columns, positions]
        case "gate channels":
            return [x, scale, None, None, None]
        case "gate rows columns":
            return [x, None, rows, columns, None]
        case "simam":
            return [x, 1e-4]
        case "fuse":
            product = lay_out(normal(B, mid, H, W), layout)
            weights = normal(2, 2 * C) / C**0.5, normal(2), normal(C) / C**0.5, normal(1)
            return [x, scale, positions, product, normal(C, mid) / mid**0.5, *weights]
    raise KeyError(name)


def function_of(name: str, of: Any = reference) -> Callable[..., Any]:
    """The function of a pass in a module that has the names of `reference`."""
    return getattr(of, name.split()[0])


def tensors(given: Any) -> list[Tensor]:
    """The tensors among arguments or outputs."""
    return [given] if isinstance(given, Tensor) else [part for part in given if isinstance(part, Tensor)]


def outputs_and_gradients(
    function: Callable[..., Any], given: Sequence[Any], ups: Sequence[Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Run a pass on leaves of its arguments, and differentiate it against `ups` (or fixed random ones)."""
    leaves = [part.detach().requires_grad_() if isinstance(part, Tensor) else part for part in given]
    found = tensors(function(*leaves))
    ups = upstream(found) if ups is None else ups
    gradients = torch.autograd.grad(
        found, tensors(leaves), [up.to(y.dtype) for up, y in zip(ups, found, strict=True)]
    )
    return [y.detach() for y in found], list(gradients)


def upstream(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Gradients to send back through outputs: random, exact in every dtype, laid out as the outputs."""
    draw = torch.Generator().manual_seed(3)
    return [
        # At most 8 significant bits, which bfloat16 holds.
        torch.empty_like(y)
        .copy_((torch.randn(y.shape, generator=draw) * 64).round().clamp(-255, 255) / 64)
        .detach()
        for y in outputs
    ]


def truth(name: str, given: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and gradients of the reference in float64, on the CPU."""
    wide = [part.detach().cpu().double() if isinstance(part, Tensor) else part for part in given]
    return outputs_and_gradients(function_of(name), wide)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest absolute value; inf where only one has a NaN or an infinity."""
    found = found.detach().cpu().double()
    assert found.shape == expected.shape
    odd = ~expected.isfinite()
    if (
        not torch.equal(found[odd].nan_to_num(1.5), expected[odd].nan_to_num(1.5))
        or not found[~odd].isfinite().all()
    ):
        return math.inf
    if odd.all():
        return 0.0
    return ((found - expected)[~odd].abs().max() / expected[~odd].abs().max().clamp(min=1e-6)).item()


def assert_close(
    found: Sequence[Tensor],
    expected: Sequence[Tensor],
    what: str,
    tolerance: Mapping[torch.dtype, float] = TOLERANCE,
) -> None:
    """Hold every tensor against its float64 counterpart, within the tolerance of its own dtype."""
    assert len(found) == len(expected)
    for i, (y, of) in enumerate(zip(found, expected, strict=True)):
        off = difference(y, of)
        assert off <= tolerance[y.dtype], f"{what} {i} ({y.dtype}) is off by {off:.2e}"
