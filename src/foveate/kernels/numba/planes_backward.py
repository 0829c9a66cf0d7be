"""Gradients of the passes over one image whose channels are planes, x (C, P) with P = H·W.

Each takes what the pass takes (see planes.py and kernels/reference.py), the gradient of its output, and
recomputes what it needs of a block of pixels. As there, a loop accumulates into the rows of one array. The
gradients of `fuse` are in fuse_backward.py.
"""

import numpy as np

from foveate.kernels.numba.intrinsics import maximum
from foveate.kernels.numba.maths import jit

__all__ = ["PIXELS", "STRIDE", "gate", "pool", "pool_channels"]

f = np.float32
PIXELS = 256  # of a block
STRIDE = PIXELS + 16  # so that the rows of a block do not map to the same cache lines


@jit
def pool(x, dx, largest, d_rows, d_columns, d_largest):
    """Write dx (C, P) from the gradients of the means of rows and columns and of the maxima.

    Elements that are equal to the maximum of their channel share its gradient.
    """
    for c in range(len(x)):
        ties = _count(x[c], largest[c])
        # 0 · NaN where no element equals the maximum, which is NaN then.
        share = d_largest[c] / ties if ties > f(0) else f(np.nan)
        _spread(x[c], dx[c], d_rows[c], d_columns[c], largest[c], share)


@jit
def _count(values, largest):
    count = f(0)
    for p in range(len(values)):
        count += f(1) if values[p] == largest else f(0)
    return count


@jit
def _spread(x, dx, d_rows, d_columns, largest, share):
    height, width = len(d_rows), len(d_columns)
    for h in range(height):  # a function called with a slice would cost more than the row itself
        of_row = d_rows[h] / f(width)
        for w in range(width):
            is_largest = f(1) if x[h * width + w] == largest else f(0)
            dx[h * width + w] = of_row + d_columns[w] / f(height) + is_largest * share


@jit
def pool_channels(x, scale, dx, d_scale, d_pooled, block):
    """Write dx (C, P) and d_scale (C,) from the gradient (2, P) of the mean and the maximum over channels.

    Channels that are equal to the maximum of a pixel share its gradient.
    """
    channels, pixels = x.shape
    d_scale[:] = f(0)
    for first in range(0, pixels, PIXELS):
        n = min(PIXELS, pixels - first)
        last = first + n
        block[:STRIDE] = f(-np.inf)
        block[STRIDE : 2 * STRIDE] = f(0)
        for c in range(channels):
            _raise(x[c, first:last], scale[c], block)
        for c in range(channels):
            _count_ties(x[c, first:last], scale[c], block)
        for p in range(n):
            ties = block[STRIDE + p]
            block[STRIDE + p] = d_pooled[1, first + p] / ties if ties > f(0) else f(np.nan)
            block[2 * STRIDE + p] = d_pooled[0, first + p] / f(channels)
        for c in range(channels):
            d_scale[c] += _spread_channels(x[c, first:last], dx[c, first:last], scale[c], block)


@jit
def _raise(x, scale, block):
    for p in range(len(x)):
        block[p] = maximum(block[p], scale * x[p])


@jit
def _count_ties(x, scale, block):
    for p in range(len(x)):
        block[STRIDE + p] += f(1) if scale * x[p] == block[p] else f(0)


@jit
def _spread_channels(x, dx, scale, block):
    d_scale = f(0)
    for p in range(len(x)):
        is_largest = f(1) if scale * x[p] == block[p] else f(0)
        d = block[2 * STRIDE + p] + is_largest * block[STRIDE + p]
        dx[p] = d * scale
        d_scale += d * x[p]
    return d_scale


@jit
def gate(x, scale, positions, dy, dx, d_scale, d_positions):
    """Write the gradients of x ⊙ scale (C,) ⊙ positions (P,)."""
    channels, pixels = x.shape
    d_scale[:] = f(0)
    d_positions[:] = f(0)
    for first in range(0, pixels, PIXELS):
        last = min(first + PIXELS, pixels)
        for c in range(channels):
            d_scale[c] += _ungate(
                x[c, first:last],
                dy[c, first:last],
                dx[c, first:last],
                scale[c],
                positions[first:last],
                d_positions[first:last],
            )


@jit
def _ungate(x, dy, dx, scale, positions, d_positions):
    d_scale = f(0)
    for p in range(len(x)):
        d = dy[p] * positions[p]
        dx[p] = d * scale
        d_scale += d * x[p]
        d_positions[p] += dy[p] * (scale * x[p])
    return d_scale
