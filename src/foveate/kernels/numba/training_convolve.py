"""The convolution of two maps to one in training, and its gradients."""

import numpy as np
import torch
from torch import Tensor

from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.small import convolve_pair as add_convolution
from foveate.kernels.numba.small import convolve_pair_backward as differentiate
from foveate.kernels.numba.small import pad_pair
from foveate.kernels.numba.team import (
    attend_whole_images,
    floats,
    kernels,
    read_task,
    rows,
    take,
    take_rows,
    worker,
)
from foveate.kernels.numba.training import carry_out, task_of, threads_of

__all__ = ["convolve_pair", "convolve_pair_backward"]

f = np.float32

_read = read_task(task_of("x", "weight", "y", "size"))
_read_backward = read_task(task_of("x", "weight", "dy", "dx", "size"))


@jit
def _pad(task, image, own):
    """Write both maps of an image with their margins at `own`, and return them and the address behind."""
    H, W, margin = task.height, task.width, task.size // 2
    padded, rest = take_rows(own, 2, (H + 2 * margin) * (W + 2 * margin) + 2 * margin)
    pad_pair(rows(task.x + 8 * image * H * W, 2, H * W), H, W, margin, padded)
    return padded, rest


@jit
def _convolve(task, image, own, sums):
    H, W, k = task.height, task.width, task.size
    width = W + 2 * (k // 2)
    padded, rest = _pad(task, image, own)
    total = floats(rest, H * width)
    total[:] = f(0)
    add_convolution(padded, 0, kernels(task.weight, 1, 2, k)[0], total, width)
    y = rows(task.y + 4 * image * H * W, H, W)
    for h in range(H):
        for w in range(W):
            y[h, w] = total[h * width + w]


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read(address), _convolve)


def convolve_pair(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution (B, 1, H, W) of x (B, 2, H, W) with `weight` (1, 2, k, k), k odd."""
    y = x.new_empty(x.shape[0], 1, *x.shape[2:])
    carry_out(work, x, (x, weight, y), _own(x, weight)[:2], sizes=weight.shape[2:3])
    return y


def _own(x: Tensor, weight: Tensor) -> tuple[int, int, int]:
    """Return the floats of scratch: both maps padded, one map with rows as long, and again both."""
    margin = weight.shape[2] // 2
    width = x.shape[3] + 2 * margin
    padded = 2 * ((x.shape[2] + 2 * margin) * width + 2 * margin)
    return padded, x.shape[2] * width, padded


@jit
def _differentiate(task, image, own, sums):
    H, W, k = task.height, task.width, task.size
    margin = k // 2
    width = W + 2 * margin
    padded, rest = _pad(task, image, own)
    d_total, rest = take(rest, H * width)
    d_padded = rows(rest, 2, (H + 2 * margin) * width + 2 * margin)
    dy, dx = rows(task.dy + 4 * image * H * W, H, W), rows(task.dx + 8 * image * H * W, 2, H * W)
    d_total[:] = f(0)
    d_padded[:] = f(0)
    for h in range(H):
        for w in range(W):
            d_total[h * width + w] = dy[h, w]
    weight = kernels(task.weight, 1, 2, k)[0]
    differentiate(padded, weight, d_total, d_padded, kernels(sums, 1, 2, k)[0], width)
    for i in range(2):
        for h in range(H):
            for w in range(W):
                dx[i, h * W + w] = d_padded[i, (h + margin) * width + margin + w]


@worker
def work_backward(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read_backward(address), _differentiate)


def convolve_pair_backward(x: Tensor, weight: Tensor, dy: Tensor) -> list[Tensor]:
    """Return the gradients of x and of the weight."""
    dx, sums = torch.empty_like(x), x.new_zeros(threads_of(x), *weight.shape)
    carry_out(work_backward, x, (x, weight, dy, dx), _own(x, weight), sums, sizes=weight.shape[2:3])
    return [dx, sums.sum(0)]
