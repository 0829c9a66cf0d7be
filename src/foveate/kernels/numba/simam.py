"""SimAM's inference on a CPU in one call: each channel's mean, its variance, then the gate of each element.

In torch's contiguous format a channel stays in the first-level cache for its three reads.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.numba.gates import image_of, share_lines
from foveate.kernels.numba.maths import jit, sigmoid
from foveate.kernels.numba.team import MAP, Plan, attend_images, barrier, make_plan, read_task, take, worker

f = np.float32
CHANNELS = 512  # of a chunk in channels_last
LARGEST = f(np.finfo(np.float32).max)

TASK = np.dtype([(name, np.int64) for name in MAP] + [("e_lambda", np.float64)])

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    x, y = image_of(task, image)
    begin, end = share_lines(task.channels, rank, team)
    if task.channels_last:
        means, own = take(own, CHANNELS)
        factors, own = take(own, CHANNELS)
        simam_pixels(x, y, task.e_lambda, means, factors, begin, end)
    else:
        simam_planes(x, y, task.e_lambda, begin, end)
    barrier(team)


@jit
def simam_planes(x, y, e_lambda, begin, end):
    """Write y of the channels [begin, end) of x (C, P): see reference.simam."""
    pixels = f(x.shape[1])
    for c in range(begin, end):
        mean = _sum(x[c]) / pixels
        variance = _sum_of_squares(x[c], mean) / pixels
        _gate(x[c], y[c], mean, _factor(variance, e_lambda))


@jit
def _factor(variance, e_lambda):
    """Return 1 / (4 (σ² + λ)), finite for the smallest λ too, so that 0 times it is 0."""
    factor = f(1) / (f(4) * (variance + f(e_lambda)))
    return LARGEST if factor > LARGEST else factor


@jit
def _sum(values):
    total = f(0)
    for p in range(len(values)):
        total += values[p]
    return total


@jit
def _sum_of_squares(values, mean):
    total = f(0)
    for p in range(len(values)):
        total += (values[p] - mean) * (values[p] - mean)
    return total


@jit
def _gate(x, y, mean, factor):
    for p in range(len(x)):
        y[p] = x[p] * sigmoid((x[p] - mean) * (x[p] - mean) * factor + f(0.5))


@jit
def simam_pixels(x, y, e_lambda, means, factors, begin, end):
    """Write y of the channels [begin, end) of x (P, C); `means` and `factors`, (≥ CHANNELS,), are scratch."""
    pixels = len(x)
    for first in range(begin, end, CHANNELS):
        last = min(first + CHANNELS, end)
        mean, factor = means[: last - first], factors[: last - first]
        mean[:] = f(0)
        factor[:] = f(0)
        for p in range(pixels):
            _add(x[p, first:last], mean)
        for c in range(len(mean)):
            mean[c] /= f(pixels)
        for p in range(pixels):
            _add_squares(x[p, first:last], mean, factor)
        for c in range(len(mean)):
            factor[c] = _factor(factor[c] / f(pixels), e_lambda)
        for p in range(pixels):
            _gate_each(x[p, first:last], y[p, first:last], mean, factor)


@jit
def _add(x, total):
    for c in range(len(x)):
        total[c] += x[c]


@jit
def _add_squares(x, mean, total):
    for c in range(len(x)):
        total[c] += (x[c] - mean[c]) * (x[c] - mean[c])


@jit
def _gate_each(x, y, mean, factor):
    for c in range(len(x)):
        y[c] = x[c] * sigmoid((x[c] - mean[c]) * (x[c] - mean[c]) * factor[c] + f(0.5))


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_images(_read(address), _attend)


def plan(shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Plan:
    """Return the plan of SimAM for images of a shape (C, H, W); `numbers` are λ."""
    return make_plan(work, (), ([], [CHANNELS, CHANNELS]), (), numbers)
