"""The pass that applies the gates of channels and of pixels, in training."""

import torch
from torch import Tensor

from foveate.kernels.numba import planes, planes_backward
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.team import attend_whole_images, floats, read_task, worker
from foveate.kernels.numba.training import carry_out, planes_of, task_of

__all__ = ["gate", "gate_backward"]

_read = read_task(task_of("x", "scale", "positions", "y"))
_read_backward = read_task(task_of("x", "scale", "positions", "dy", "dx", "d_scale", "d_positions"))


@jit
def _gate(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    x, y = planes_of(task, task.x, image), planes_of(task, task.y, image)
    scale, positions = floats(task.scale + 4 * image * C, C), floats(task.positions + 4 * image * P, P)
    planes.gate(x, y, scale, positions, 0, C)


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read(address), _gate)


def gate(x: Tensor, channels: Tensor, rows: None, columns: None, positions: Tensor) -> Tensor:
    """Return x ⊙ channels (B, C) ⊙ positions (B, 1, H, W)."""
    y = torch.empty_like(x)
    carry_out(work, x, (x, channels, positions, y))
    return y


@jit
def _differentiate(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    planes_backward.gate(
        planes_of(task, task.x, image),
        floats(task.scale + 4 * image * C, C),
        floats(task.positions + 4 * image * P, P),
        planes_of(task, task.dy, image),
        planes_of(task, task.dx, image),
        floats(task.d_scale + 4 * image * C, C),
        floats(task.d_positions + 4 * image * P, P),
    )


@worker
def work_backward(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read_backward(address), _differentiate)


def gate_backward(
    x: Tensor, channels: Tensor, rows: None, columns: None, positions: Tensor, dy: Tensor
) -> list[Tensor]:
    """Return the gradients of x, channels and positions."""
    found = [torch.empty_like(x), torch.empty_like(channels), torch.empty_like(positions)]
    carry_out(work_backward, x, (x, channels, positions, dy, *found))
    return found
