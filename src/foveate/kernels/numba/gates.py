"""The passes of mechanisms that end in a gate, on one image of a task, in either memory format."""

import numpy as np

from foveate.kernels.numba import pixels, planes
from foveate.kernels.numba.intrinsics import maximum
from foveate.kernels.numba.maths import inlined, jit
from foveate.kernels.numba.team import address_of, barrier, floats, rows, share, take, whole_lines

__all__ = [
    "add_parts",
    "gate",
    "image_of",
    "measure_channels",
    "measure_pixels",
    "measuring_scratch",
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
def add_parts(address, apart, rank, team, target, begin, end):
    """Write into target [begin, end) the sums of what all threads have at `address` of their scratch.

    `address` is that of this thread, and `apart` the floats from the scratch of one thread to the next.
    """
    target[begin:end] = f(0)
    for thread in range(team):
        part = floats(address + 4 * (thread - rank) * apart, end)
        for i in range(begin, end):
            target[i] += part[i]


@jit
def _largest_of_parts(address, apart, rank, team, target, begin, end):
    """Write into target [begin, end) the maxima of what all threads have: see `add_parts`."""
    target[begin:end] = f(-np.inf)
    for thread in range(team):
        part = floats(address + 4 * (thread - rank) * apart, end)
        for i in range(begin, end):
            target[i] = maximum(target[i], part[i])


def measuring_scratch(channels: int, positions: int, products: int = 0) -> int:
    """Return the floats of a thread's scratch that `measure_channels` and `measure_pixels` need."""
    return max(2 * whole_lines(channels), 10 * planes.STRIDE + (products + 2) * positions)


@jit
def measure_channels(task, image, means, maxima, own, rank, team):
    """Write the mean and the maximum of every channel.

    Each thread reads the channels or the pixels that lie together: those that it wrote in the layer before.
    What is written can be read when the threads have met. For `own` see `measuring_scratch`.
    """
    x, _ = image_of(task, image)
    C, P = task.channels, task.height * task.width
    if not task.channels_last:
        begin, end = share(C, rank, team)
        planes.channel_statistics(x, means, maxima, begin, end)
        return
    begin, end = share(P, rank, team)
    totals, at_largest = take(own, C)
    pixels.channel_statistics(x, totals, floats(at_largest, C), begin, end)
    barrier(team)
    begin, end = share(C, rank, team)
    add_parts(own, task.own, rank, team, means, begin, end)
    _largest_of_parts(at_largest, task.own, rank, team, maxima, begin, end)
    for c in range(begin, end):
        means[c] /= f(P)


@jit
def measure_pixels(task, image, scale, embed, embedded, pooled, own, rank, team):
    """Write the statistics of every pixel: see `pixel_statistics`, in parts as in `measure_channels`."""
    x, _ = image_of(task, image)
    C, P, E = task.channels, task.height * task.width, len(embed)
    if task.channels_last:
        begin, end = share(P, rank, team)
        pixels.pixel_statistics(x, scale, embed, embedded, pooled, begin, end)
        return
    block, parts = take(own, 10 * planes.STRIDE)
    at_products = address_of(embedded) if team == 1 else parts
    at_pooled = address_of(pooled) if team == 1 else parts + 4 * E * P
    begin, end = share(C, rank, team)
    products = rows(at_products, E, P)
    planes.pixel_statistics(x, scale, embed, products, rows(at_pooled, 2, P), block, begin, end)
    if team > 1:
        barrier(team)
        begin, end = share_lines(P, rank, team)
        for i in range(E + 1):
            add_parts(
                parts + 4 * i * P, task.own, rank, team, embedded[i] if i < E else pooled[0], begin, end
            )
        _largest_of_parts(parts + 4 * (E + 1) * P, task.own, rank, team, pooled[1], begin, end)


@jit
def gate(task, image, channels, positions, rank, team):
    """Write y = x ⊙ channels (C,) ⊙ positions (P,) at this thread's part of the map."""
    x, y = image_of(task, image)
    if task.channels_last:
        begin, end = share(task.height * task.width, rank, team)
        pixels.gate(x, y, channels, positions, begin, end)
    else:
        begin, end = share(task.channels, rank, team)
        planes.gate(x, y, channels, positions, begin, end)
