"""Promises on large activations: finite in every precision, and an output that grows no faster than x."""

import itertools
import math

import torch
from torch import Tensor, nn

from foveate.inspection.check.subject import Broken, Outcome, Subject, short, written_input
from foveate.inspection.check.watch import Mistake

__all__ = [
    "bounded",
    "finite_autocast",
    "finite_bfloat16",
    "finite_fault",
    "finite_float16",
    "finite_full",
    "large_map",
]

LARGE = 1e4
PATTERNS = ("all 1e4", "all -1e4", "uniform", "signs", "opposite channels", "spike")
SCALES = (1e2, 1e4)
STEEPEST = 0.5
"""With a bounded gate the output over the scale of x is constant; without one it grows with the scale."""
HALF_LOSS_SCALE = 2.0**-24


def large_map(shape: tuple[int, ...], pattern: str, seed: int = 0) -> Tensor:
    """Return a map of activations up to 1e4, without structure or with one that sums add up on."""
    noise = 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1
    if pattern == "uniform":
        return LARGE * noise
    if pattern == "signs":
        return LARGE * noise.sign()
    if pattern == "opposite channels":
        return (LARGE * noise[:1, :, :1, :1].sign()).expand(shape).clone()
    if pattern == "spike":
        return LARGE * torch.zeros(shape).index_fill(3, torch.tensor(0), 1.0)
    return torch.full(shape, float(pattern.split()[1]))


def finite_fault(
    module: nn.Module, x: Tensor, autocast: torch.dtype | None = None, *, keeps_dtype: bool = True
) -> str:
    """Return what is not finite, of the output and the gradient by x: "" if both are.

    With `keeps_dtype` the output must have the dtype of x, too.

    Where gates multiply, gradients grow with powers of the activations and leave float16's range: its loss
    scale then comes down. What must not be is a NaN that no scale takes away, so it gets the smallest.
    """
    x = x.detach().requires_grad_()
    dtypes = {x.dtype, autocast, *(parameter.dtype for parameter in module.parameters())}
    try:
        with torch.autocast(x.device.type, autocast, enabled=autocast is not None):
            y = module(x.clone())
        if keeps_dtype and y.dtype != x.dtype:
            return f"the output is {str(y.dtype).removeprefix('torch.')}"
        if not y.isfinite().all():
            return f"the output has {_count(y)} values that are not finite"
        y.backward(torch.full_like(y, HALF_LOSS_SCALE if torch.float16 in dtypes else 1.0))
    except Exception as error:
        return short(error)
    assert x.grad is not None
    return (
        ""
        if x.grad.isfinite().all()
        else f"the gradient by x has {_count(x.grad)} values that are not finite"
    )


def _count(values: Tensor) -> str:
    return f"{int((~values.isfinite()).sum())} of {values.numel()}"


def finite_full(subject: Subject) -> Outcome:
    """Finite in float64 and float32."""
    return _finite(subject, [(torch.float64, None, torch.float64), (torch.float32, None, torch.float32)])


def finite_bfloat16(subject: Subject) -> Outcome:
    """Finite in bfloat16, of module and map."""
    return _finite(subject, [(torch.bfloat16, None, torch.bfloat16)])


def finite_float16(subject: Subject) -> Outcome:
    """Finite in float16, of module and map."""
    return _finite(subject, [(torch.float16, None, torch.float16)])


def finite_autocast(subject: Subject) -> Outcome:
    """Finite under autocast to bfloat16 and float16, of a map in float32 or already in half precision."""
    kinds = itertools.product((torch.bfloat16, torch.float16), (False, True))
    return _finite(
        subject, [(torch.float32, half, half if is_cast else torch.float32) for half, is_cast in kinds]
    )


Precision = tuple[torch.dtype, torch.dtype | None, torch.dtype]
"""The dtypes of the module, of autocast, and of the map."""


def _finite(subject: Subject, precisions: list[Precision]) -> Outcome:
    for size, pattern, training in itertools.product(subject.sizes[:5], PATTERNS, (False, True)):
        for module_dtype, autocast, map_dtype in precisions:
            x = large_map((2, subject.channels, *size), pattern).to(subject.device, map_dtype)
            module = subject.build(training=training, dtype=module_dtype)
            # Under autocast a learned scalar may raise a map to float32, which costs memory alone.
            if fault := finite_fault(module, x, autocast, keeps_dtype=autocast is None):
                under = f", autocast to {str(autocast).removeprefix('torch.')}" if autocast else ""
                note = f"{_words(pattern)}{under}"
                return subject.broken(
                    x, fault, "tensor of a fixed dtype", "numpy inside", training=training, note=note
                )
    return None


def _words(pattern: str) -> str:
    return pattern if pattern.startswith("all") else f"{pattern} up to 1e4"


def bounded(subject: Subject) -> Outcome:
    """The output grows no faster than the input, as it does where each gate has a bound (a sigmoid)."""
    for size, seed in itertools.product(subject.sizes, range(3)):
        x = subject.map(2, size, subject.precise, seed) + 0.5
        module = subject.build(dtype=subject.precise, seed=seed)
        with torch.no_grad():
            low, high = (module(scale * x).abs().max().item() / scale for scale in SCALES)
        if not low or not math.isfinite(low):
            continue
        slope = (
            math.log(max(high / low, 1e-9)) / math.log(SCALES[1] / SCALES[0]) if math.isfinite(high) else 9.0
        )
        if slope > STEEPEST:
            found = f"the output grows with power {1 + slope:.1f} of the input"
            return Broken(written_input(x, training=False), found, Mistake("gate without a bound", ""))
    return None
