"""CBAM's inference on a CPU in one call, with three reads of the map and one write."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.numba.gates import (
    gate,
    measure_channels,
    measure_pixels,
    measuring_scratch,
    share_rows,
)
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.small import (
    convolve_pair,
    excite_twice,
    pad_pair,
    read_kernels,
    saturating_sigmoid,
    squeeze,
)
from foveate.kernels.numba.team import (
    MAP,
    Plan,
    attend_images,
    barrier,
    floats,
    is_last,
    make_plan,
    read_task,
    rows,
    share,
    take,
    take_kernels,
    take_rows,
    whole_lines,
    worker,
)

f = np.float32

WEIGHTS = ("reduce", "reduce_bias", "expand", "expand_bias", "conv")
TASK = np.dtype([(name, np.int64) for name in (*MAP, "hidden", "size", "conv_last", *WEIGHTS)])

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    C, R, P = task.channels, task.hidden, task.height * task.width
    means, shared = take(shared, C)
    maxima, shared = take(shared, C)
    scale, shared = take(shared, C)
    hidden, shared = take(shared, R)
    pooled, shared = take_rows(shared, 2, P)
    positions, shared = take(shared, P)

    measure_channels(task, image, means, maxima, own, rank, team)
    barrier(team)
    begin, end = share(R, rank, team)
    W, bias = rows(task.reduce, R, C), floats(task.reduce_bias, R)
    hidden[begin:end] = f(0)
    squeeze(means, W, bias, hidden, begin, end)
    squeeze(maxima, W, bias, hidden, begin, end)
    barrier(team)
    begin, end = share(C, rank, team)
    excite_twice(hidden, rows(task.expand, C, R), floats(task.expand_bias, C), scale, begin, end)
    barrier(team)

    none = pooled[:0]
    measure_pixels(task, image, scale, none, none, pooled, own, rank, team)
    barrier(team)
    _weigh_positions(task, pooled, positions, own, rank, team)
    barrier(team)
    gate(task, image, scale, positions, rank, team)
    barrier(team)


@jit
def _weigh_positions(task, pooled, positions, scratch, rank, team):
    """Write M_s at this thread's rows, from all of `pooled` (2, P)."""
    H, W, k = task.height, task.width, task.size
    begin, end = share_rows(task, rank, team)
    margin = k // 2
    width = W + 2 * margin
    count = (end - begin) // W * width
    padded, scratch = take_rows(scratch, 2, (H + 2 * margin) * width + 2 * margin)
    total, scratch = take(scratch, count)
    pad_pair(pooled, H, W, margin, padded)
    total[:] = f(0)
    kernel, scratch = take_kernels(scratch, 1, 2, k)
    read_kernels(task.conv, task.conv_last, kernel)
    convolve_pair(padded, begin // W * width, kernel[0], total, width)
    for p in range(begin, end):
        positions[p] = saturating_sigmoid(total[(p - begin) // W * width + p % W])


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_images(_read(address), _attend)


def plan(shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Plan:
    """Return the plan of CBAM for images of a shape (C, H, W); `weights` are WEIGHTS."""
    C, H, W = shape
    hidden, size = len(weights[0]), weights[4].shape[-1]
    width = W + 2 * (size // 2)
    weighing = [2 * ((H + 2 * (size // 2)) * width + 2 * (size // 2)), H * width, 2 * size**2]
    own = [max(measuring_scratch(C, H * W), sum(map(whole_lines, weighing)))]
    addresses = [weight.data_ptr() for weight in weights]
    sizes = (hidden, size, is_last(weights[4]))
    return make_plan(work, sizes, ([C, C, C, hidden, 2 * H * W, H * W], own), addresses)
