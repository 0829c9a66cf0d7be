"""The two bounds of the machine, measured: arithmetic and memory bandwidth."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from foveate.evaluation.timing import milliseconds

__all__ = ["MachineBounds", "measure_bounds"]

MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}
ARRAY_BYTES = {"cpu": 2**27, "cuda": 2**30}
REPEATS = 7


@dataclass(frozen=True)
class MachineBounds:
    """The highest rates that were measured: FLOP/s in one dtype, and bytes/s to and from memory."""

    flops: float
    bandwidth: float
    matrix_side: int
    array_bytes: int


@torch.inference_mode()
def measure_bounds(device: torch.device, dtype: torch.dtype) -> MachineBounds:
    """Measure the product of two large matrices in `dtype`, and a = b + ½ c over arrays larger than caches.

    Each is the best of several measurements. The sum moves three arrays: two reads and one write.
    """
    side = MATRIX_SIDE.get(device.type, 2048)
    one = torch.randn(side, side, device=device).to(dtype)
    other, product = torch.randn_like(one), torch.empty_like(one)
    of_product = _best_seconds(lambda: torch.mm(one, other, out=product), device)
    size = ARRAY_BYTES.get(device.type, 2**28)
    b = torch.ones(size // 4, device=device)
    c, a = torch.ones_like(b), torch.empty_like(b)
    of_sum = _best_seconds(lambda: torch.add(b, c, alpha=0.5, out=a), device)
    return MachineBounds(2 * side**3 / of_product, 3 * size / of_sum, side, size)


def _best_seconds(step: Callable[[], object], device: torch.device) -> float:
    step()
    return min(milliseconds(step, device) for _ in range(REPEATS)) / 1e3
