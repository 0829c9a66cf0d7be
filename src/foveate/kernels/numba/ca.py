"""Coordinate attention's inference on a CPU in one call, with two reads of the map and one write."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.numba.gates import image_of, share_lines
from foveate.kernels.numba.lines import (
    embed_lines,
    expand_lines,
    gate_lines_pixels,
    gate_lines_planes,
    line_statistics_pixels,
    line_statistics_planes,
)
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.small import fold
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
    take_rows,
    whole_lines,
    worker,
)

APART = 16  # floats between the lines, so that a channel's values do not map to the same cache lines

NORM = ("embed_weight", "embed_bias", "embed_mean", "embed_variance")
WEIGHTS = ("embed", *NORM, "rows", "rows_bias", "columns", "columns_bias")
TASK = np.dtype([(name, np.int64) for name in (*MAP, "hidden", *WEIGHTS)] + [("embed_eps", np.float64)])

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    C, R, H, W = task.channels, task.hidden, task.height, task.width
    lines, shared = take_rows(shared, H + W, C + APART)
    embedded, shared = take_rows(shared, H + W, R)
    transposed, shared = take_rows(shared, R, C + APART)
    line, own = take(own, whole_lines(W))
    scale, own = take(own, R)
    shift, own = take(own, R)
    x, y = image_of(task, image)
    first, last = share_lines(C, rank, team)

    if task.channels_last:
        line_statistics_pixels(x, lines, H, W, first, last)
    else:
        line_statistics_planes(x, lines, H, line, first, last)
    weight, bias = floats(task.embed_weight, R), floats(task.embed_bias, R)
    fold(
        scale, shift, weight, bias, floats(task.embed_mean, R), floats(task.embed_variance, R), task.embed_eps
    )
    barrier(team)
    begin, end = share(H + W, rank, team)
    embed_lines(lines, rows(task.embed, R, C), scale, shift, embedded, begin, end)
    barrier(team)
    F_h, F_w = rows(task.rows, C, R), rows(task.columns, C, R)
    expand_lines(embedded, F_h, floats(task.rows_bias, C), transposed, lines, 0, H, first, last)
    expand_lines(embedded, F_w, floats(task.columns_bias, C), transposed, lines, H, H + W, first, last)
    if task.channels_last:
        barrier(team)
        begin, end = share(H * W, rank, team)
        gate_lines_pixels(x, y, lines, H, W, begin, end)
    else:
        gate_lines_planes(x, y, lines, H, line, first, last)
    barrier(team)


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_images(_read(address), _attend)


def plan(shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Plan:
    """Return the plan of coordinate attention for images of a shape (C, H, W).

    `weights` are WEIGHTS, `numbers` the eps of the batch norm.
    """
    C, H, W = shape
    hidden = len(weights[0])
    shared = [(H + W) * (C + APART), (H + W) * hidden, hidden * (C + APART)]
    addresses = [weight.data_ptr() for weight in weights]
    return make_plan(work, (hidden,), (shared, [W, hidden, hidden]), addresses, numbers)
