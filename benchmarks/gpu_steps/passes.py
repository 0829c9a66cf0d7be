"""Second step: time each pass of DMSCA alone, forward and backward, beside a copy of its map.

In the first slice on a GPU this showed why the mechanism was slow: passes took up to nineteen times the copy.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from foveate.evaluation.timing import compare_latencies, take_turns
from foveate.kernels import operators
from gpu_steps.settings import Settings
from gpu_steps.units import Unit
from price_measure import ROUNDS

STEP = "passes"
COPY = "copy"
MID = 8


def units(settings: Settings) -> list[Unit]:
    """List the units: one for each shape, largest map first."""
    return [
        Unit(STEP, "passes over {}×{}×{}×{}".format(*shape), time_passes, (shape,), 60.0, 20.0)
        for shape in settings.passed
    ]


def time_passes(settings: Settings, shape: tuple[int, ...], *, seconds: float) -> dict[str, Any]:
    """Time the passes over a map (B, C, H, W), bfloat16 in channels_last, in turns with a copy of it."""
    steps = _steps(shape, settings.torch_device)
    turns = take_turns(steps, settings.torch_device, seconds=settings.seconds / 2, rounds=ROUNDS)
    found = compare_latencies(turns)
    return {
        "ms": {name: latency.p50 for name, latency in found.items()},
        "over_copy": {name: latency.ratio for name, latency in found.items() if name != COPY},
    }


def _steps(shape: tuple[int, ...], device: torch.device) -> dict[str, Callable[[], object]]:
    B, C, H, W = shape

    def normal(*size: int) -> Tensor:
        return torch.randn(size, device=device, dtype=torch.bfloat16)

    x = normal(*shape).contiguous(memory_format=torch.channels_last)
    y = torch.empty_like(x)
    scale, multi = normal(B, C).sigmoid(), normal(B, 1, H, W).sigmoid()
    product = normal(B, MID, H, W).contiguous(memory_format=torch.channels_last)
    weights = normal(C, MID), normal(2, 2 * C) / C, normal(2), normal(C) / C, normal(1)
    forward: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
        "pool": (operators.pool, (x,)),
        "pool_channels": (operators.pool_channels, (x, scale)),
        "fuse": (operators.fuse, (x, scale, multi, product, *weights)),
    }
    steps: dict[str, Callable[[], object]] = {COPY: lambda: y.copy_(x)}
    for name, (operator, given) in forward.items():
        steps[name] = _without_gradients(operator, given)
    for name, (operator, given) in forward.items():
        steps[f"{name}, gradient"] = _gradient(operator, given)
    return steps


def _without_gradients(operator: Callable[..., Any], given: tuple[Tensor, ...]) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return operator(*given)

    return run


def _gradient(operator: Callable[..., Any], given: tuple[Tensor, ...]) -> Callable[[], object]:
    """Return a step that differentiates outputs which were computed once."""
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    found = operator(*leaves)
    outputs = [found] if isinstance(found, Tensor) else list(found)
    ups = [torch.randn_like(output) for output in outputs]
    return lambda: torch.autograd.grad(outputs, leaves, ups, retain_graph=True)
