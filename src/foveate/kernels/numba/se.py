"""SE's inference on a CPU in one call: two reads of the map and one write."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.numba.gates import average_channels, gate
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.small import excite, squeeze
from foveate.kernels.numba.team import (
    MAP,
    Plan,
    attend_images,
    barrier,
    floats,
    make_plan,
    read_task,
    rows,
    share,
    take,
    worker,
)

f = np.float32

WEIGHTS = ("reduce", "reduce_bias", "expand", "expand_bias")
TASK = np.dtype([(name, np.int64) for name in (*MAP, "hidden", *WEIGHTS)])

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    C, R = task.channels, task.hidden
    means, shared = take(shared, C)
    scale, shared = take(shared, C)
    hidden, shared = take(shared, R)

    average_channels(task, image, means, rank, team)
    barrier(team)
    begin, end = share(R, rank, team)
    hidden[begin:end] = f(0)
    squeeze(means, rows(task.reduce, R, C), floats(task.reduce_bias, R), hidden, begin, end)
    barrier(team)
    begin, end = share(C, rank, team)
    excite(hidden, rows(task.expand, C, R), floats(task.expand_bias, C), 1, scale, begin, end)
    barrier(team)
    gate(task, image, scale, scale[:0], rank, team)
    barrier(team)


@worker
def work(address):
    """Do a thread's share of the task at `address`."""
    attend_images(_read(address), _attend)


def plan(shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Plan:
    """Plan SE of images of a shape (C, H, W); `weights` are WEIGHTS."""
    C, hidden = shape[0], len(weights[0])
    addresses = [weight.data_ptr() for weight in weights]
    return make_plan(work, (hidden,), ([C, C, hidden], []), addresses)
