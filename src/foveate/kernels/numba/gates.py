"""The passes of mechanisms that end in a gate, on one image of a task, in either memory format."""

import numpy as np

from foveate.kernels.numba import pixels, planes
from foveate.kernels.numba.maths import inlined, jit
from foveate.kernels.numba.team import rows, share

__all__ = [
    "gate",
    "image_of",
    "measure_channels",
    "measure_pixels",
    "share_lines",
    "share_rows",
]

f = np.float32


@inlined
def image_of(task, image):
    """Return an image of x and of y as arrays: rows are pixels or channels, as they are stored."""
    C, P = task.channels, task.height * task.width
    if task.channels_last:
        count, length = P, C
    else:
        count, length = C, P
    offset = 4 * image * C * P
    return rows(task.x + offset, count, length), rows(task.y + offset, count, length)


@inlined
def share_lines(count, rank, team):
    """Return the part of `count` floats that a thread takes: whole cache lines that it alone writes."""
    begin, end = share((count + 15) // 16, rank, team)
    return 16 * begin, min(16 * end, count)


@inlined
def share_rows(task, rank, team):
    """Return the part of the pixels that a thread takes: whole rows of the map."""
    begin, end = share(task.height, rank, team)
    return begin * task.width, end * task.width


@jit
def measure_channels(task, image, means, maxima, rank, team):
    """Write the mean and the maximum of this thread's part of the channels."""
    x, _ = image_of(task, image)
    begin, end = share_lines(task.channels, rank, team)
    if task.channels_last:
        pixels.channel_statistics(x, means, maxima, begin, end)
    else:
        planes.channel_statistics(x, means, maxima, begin, end)


@jit
def measure_pixels(task, image, scale, pooled, block, rank, team):
    """Write mean and maximum over channels of scale ⊙ x at this thread's part of the pixels."""
    x, _ = image_of(task, image)
    begin, end = share_rows(task, rank, team)
    none = pooled[:0]
    if task.channels_last:
        pixels.pixel_statistics(x, scale, none, none, pooled, block, begin, end)
    else:
        planes.pixel_statistics(x, scale, none, none, pooled, block, begin, end)


@jit
def gate(task, image, channels, positions, rank, team):
    """Write y = x ⊙ channels (C,) ⊙ positions (P,) at this thread's part of the pixels."""
    x, y = image_of(task, image)
    begin, end = share_rows(task, rank, team)
    if task.channels_last:
        pixels.gate(x, y, channels, positions, begin, end)
    else:
        planes.gate(x, y, channels, positions, begin, end)
