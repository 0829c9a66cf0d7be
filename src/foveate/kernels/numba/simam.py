"""SimAM's inference on a CPU in one call: each channel's mean, its variance, then the gate of each element.

In torch's contiguous format a channel stays in the first-level cache for its three reads.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.numba.gates import add_parts, image_of, share_lines
from foveate.kernels.numba.maths import jit, sigmoid
from foveate.kernels.numba.pixels import add
from foveate.kernels.numba.team import (
    MAP,
    Plan,
    attend_images,
    barrier,
    floats,
    make_plan,
    read_task,
    share,
    take,
    worker,
)

f = np.float32
LARGEST = f(np.finfo(np.float32).max)

TASK = np.dtype([(name, np.int64) for name in MAP] + [("e_lambda", np.float64)])

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    if task.channels_last:
        _attend_pixels(task, image, shared, own, rank, team)
    else:
        x, y = image_of(task, image)
        begin, end = share_lines(task.channels, rank, team)
        simam_planes(x, y, task.e_lambda, begin, end)
    barrier(team)


@jit
def _attend_pixels(task, image, shared, own, rank, team):
    """Do the same in channels_last: each thread takes pixels, and sums over them are sums of the threads'."""
    C, P = task.channels, task.height * task.width
    x, y = image_of(task, image)
    means, shared = take(shared, C)
    factors, shared = take(shared, C)
    sums = floats(own, C)
    first, last = share(C, rank, team)
    begin, end = share(P, rank, team)
    sum_pixels(x, sums, begin, end)
    barrier(team)
    add_parts(own, task.own, rank, team, means, first, last)
    for c in range(first, last):
        means[c] /= f(P)
    barrier(team)
    sum_squares(x, means, sums, begin, end)
    barrier(team)
    add_parts(own, task.own, rank, team, factors, first, last)
    for c in range(first, last):
        factors[c] = _factor(factors[c] / f(P), task.e_lambda)
    barrier(team)
    for p in range(begin, end):
        _gate_each(x[p], y[p], means, factors)


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
def sum_pixels(x, sums, begin, end):
    """Write the sums over the pixels [begin, end) of x (P, C)."""
    sums[:] = f(0)
    for p in range(begin, end):
        add(x[p], sums)


@jit
def sum_squares(x, means, sums, begin, end):
    """Write the sums of (x - means)² over the pixels [begin, end) of x (P, C)."""
    sums[:] = f(0)
    for p in range(begin, end):
        _add_squares(x[p], means, sums)


@jit
def _add_squares(x, means, sums):
    for c in range(len(sums)):
        sums[c] += (x[c] - means[c]) * (x[c] - means[c])


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
    return make_plan(work, (), ([shape[0], shape[0]], [shape[0]]), (), numbers)
