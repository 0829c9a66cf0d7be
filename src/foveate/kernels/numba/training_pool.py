"""The first pass in training: the means of rows and columns and the maximum of every channel."""

import numpy as np
import torch
from torch import Tensor

from foveate.kernels.numba import planes, planes_backward
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.team import attend_whole_images, floats, read_task, rows, worker
from foveate.kernels.numba.training import carry_out, planes_of, task_of

__all__ = ["pool", "pool_backward"]

f = np.float32

_read = read_task(task_of("x", "means", "columns", "largest"))
_read_backward = read_task(task_of("x", "largest", "d_rows", "d_columns", "d_largest", "dx"))


@jit
def _pool(task, image, own, sums):
    C, H, W = task.channels, task.height, task.width
    x = planes_of(task, task.x, image)
    means = rows(task.means + 4 * image * C * H, C, H)
    columns = rows(task.columns + 4 * image * C * W, C, W)
    largest = floats(task.largest + 4 * image * C, C)
    for c in range(C):
        planes.lines(x[c], means[c], columns[c])
        largest[c] = planes.largest_of(x[c])


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read(address), _pool)


def pool(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the means of rows (B, C, H) and of columns (B, C, W) and the maximum (B, C) of every channel."""
    B, C, H, W = x.shape
    outputs = x.new_empty(B, C, H), x.new_empty(B, C, W), x.new_empty(B, C)
    carry_out(work, x, (x, *outputs))
    return outputs


@jit
def _differentiate(task, image, own, sums):
    C, H, W = task.channels, task.height, task.width
    planes_backward.pool(
        planes_of(task, task.x, image),
        planes_of(task, task.dx, image),
        floats(task.largest + 4 * image * C, C),
        rows(task.d_rows + 4 * image * C * H, C, H),
        rows(task.d_columns + 4 * image * C * W, C, W),
        floats(task.d_largest + 4 * image * C, C),
    )


@worker
def work_backward(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read_backward(address), _differentiate)


def pool_backward(
    x: Tensor, largest: Tensor, d_rows: Tensor, d_columns: Tensor, d_largest: Tensor
) -> list[Tensor]:
    """Return the gradient of x; `largest` are the maxima that `pool` returned."""
    dx = torch.empty_like(x)
    carry_out(work_backward, x, (x, largest, d_rows, d_columns, d_largest, dx))
    return [dx]
