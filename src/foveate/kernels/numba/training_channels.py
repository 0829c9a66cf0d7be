"""The second pass in training: the mean and the maximum over the channels of every pixel."""

import numpy as np
import torch
from torch import Tensor

from foveate.kernels.numba import planes, planes_backward
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.planes_backward import STRIDE
from foveate.kernels.numba.team import attend_whole_images, floats, read_task, rows, worker
from foveate.kernels.numba.training import carry_out, planes_of, task_of

__all__ = ["pool_channels", "pool_channels_backward"]

f = np.float32

_read = read_task(task_of("x", "scale", "pooled"))
_read_backward = read_task(task_of("x", "scale", "d_pooled", "dx", "d_scale"))


@jit
def _pool_channels(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    scale = floats(task.scale + 4 * image * C, C)
    pooled = rows(task.pooled + 8 * image * P, 2, P)
    none = pooled[:0]
    block = floats(own, 10 * planes.STRIDE)
    x = planes_of(task, task.x, image)
    planes.pixel_statistics(x, scale, none, none, pooled, block, 0, C)


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read(address), _pool_channels)


def pool_channels(x: Tensor, scale: Tensor | None) -> Tensor:
    """Return [mean over channels ; max over channels] of scale ⊙ x, (B, 2, H, W); `scale` is (B, C)."""
    pooled = x.new_empty(x.shape[0], 2, *x.shape[2:])
    carry_out(work, x, (x, _ones_or(scale, x), pooled), (10 * planes.STRIDE,))
    return pooled


@jit
def _differentiate(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    planes_backward.pool_channels(
        planes_of(task, task.x, image),
        floats(task.scale + 4 * image * C, C),
        planes_of(task, task.dx, image),
        floats(task.d_scale + 4 * image * C, C),
        rows(task.d_pooled + 8 * image * P, 2, P),
        floats(own, 3 * STRIDE),
    )


@worker
def work_backward(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read_backward(address), _differentiate)


def pool_channels_backward(x: Tensor, scale: Tensor | None, d_pooled: Tensor) -> list[Tensor]:
    """Return the gradients of x and, if it is given, of `scale`."""
    given = _ones_or(scale, x)
    dx, d_scale = torch.empty_like(x), torch.empty_like(given)
    carry_out(work_backward, x, (x, given, d_pooled, dx, d_scale), (3 * STRIDE,))
    return [dx] if scale is None else [dx, d_scale]


def _ones_or(scale: Tensor | None, x: Tensor) -> Tensor:
    return x.new_ones(x.shape[:2]) if scale is None else scale
