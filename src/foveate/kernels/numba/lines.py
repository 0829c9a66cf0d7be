"""Coordinate attention's passes over one image in both formats, and the small products between them.

Values of every row and every column of a channel are kept in one array `lines` (H + W, ≥ C), rows first, so
that one product computes both, with vectors over the channels.
"""

import numpy as np

from foveate.kernels.numba.maths import copy, jit
from foveate.kernels.numba.small import saturating_sigmoid

__all__ = [
    "embed_lines",
    "expand_lines",
    "gate_lines_pixels",
    "gate_lines_planes",
    "line_statistics_pixels",
    "line_statistics_planes",
]

f = np.float32


@jit
def line_statistics_planes(x, lines, height, line, begin, end):
    """Write the means of rows and columns of the channels [begin, end) of x (C, P).

    `line` is scratch of W floats, rounded up to whole cache lines.
    """
    width = x.shape[1] // height
    for c in range(begin, end):
        line[:] = f(0)
        for h in range(height):  # a function called with slices of a row would cost more than the row itself
            total = f(0)
            for w in range(width):
                total += x[c, h * width + w]
                line[w] += x[c, h * width + w]
            lines[h, c] = total / f(width)
        for w in range(width):
            lines[height + w, c] = line[w] / f(height)


@jit
def line_statistics_pixels(x, lines, height, width, begin, end):
    """Write the means of rows and columns of the channels [begin, end) of x (P, C)."""
    for i in range(height + width):
        lines[i, begin:end] = f(0)
    for h in range(height):
        for w in range(width):
            _add(x[h * width + w, begin:end], lines[h, begin:end], lines[height + w, begin:end])
    for i in range(height + width):
        count = f(width) if i < height else f(height)
        for c in range(begin, end):
            lines[i, c] /= count


@jit
def _add(x, row, column):
    for c in range(len(x)):
        row[c] += x[c]
        column[c] += x[c]


@jit
def gate_lines_planes(x, y, lines, height, line, begin, end):
    """Write y = x ⊙ rows ⊙ columns at the channels [begin, end) of x (C, P); `line` is scratch as above.

    A row may write behind its end; the next row overwrites that.
    """
    pixels = x.shape[1]
    source, target = (
        x[begin:end].reshape((end - begin) * pixels),
        y[begin:end].reshape((end - begin) * pixels),
    )
    width = pixels // height
    for c in range(begin, end):
        for w in range(width):
            line[w] = lines[height + w, c]
        for h in range(height):
            first = (c - begin) * pixels + h * width
            last = first + len(line)
            _gate_row(source[first:last], target[first:last], lines[h, c], line)


@jit
def _gate_row(x, y, row, columns):
    for w in range(len(x)):
        y[w] = x[w] * row * columns[w]


@jit
def gate_lines_pixels(x, y, lines, height, width, begin, end):
    """Write y = x ⊙ rows ⊙ columns at the pixels [begin, end) of x (P, C)."""
    for p in range(begin, end):
        _gate_pixel(x[p], y[p], lines[p // width], lines[height + p % width])


@jit
def _gate_pixel(x, y, row, column):
    for c in range(len(x)):
        y[c] = x[c] * row[c] * column[c]


@jit
def embed_lines(lines, E, scale, shift, embedded, begin, end):
    """Write embedded (H + W, R) = hardswish(scale ⊙ E z + shift) of the lines [begin, end); E is (R, C)."""
    hidden, channels = E.shape
    for i in range(begin, end, 2):
        j = min(i + 1, end - 1)
        for r in range(0, hidden, 2):
            s = min(r + 1, hidden - 1)
            products = _products(lines[i, :channels], lines[j, :channels], E[r], E[s])
            embedded[i, r] = _hardswish(products[0] * scale[r] + shift[r])
            embedded[i, s] = _hardswish(products[1] * scale[s] + shift[s])
            embedded[j, r] = _hardswish(products[2] * scale[r] + shift[r])
            embedded[j, s] = _hardswish(products[3] * scale[s] + shift[s])


@jit
def _products(z_0, z_1, E_0, E_1):
    a, b, c, d = f(0), f(0), f(0), f(0)
    for i in range(len(z_0)):
        a += z_0[i] * E_0[i]
        b += z_0[i] * E_1[i]
        c += z_1[i] * E_0[i]
        d += z_1[i] * E_1[i]
    return a, b, c, d


@jit
def _hardswish(z):
    lifted = z + f(3)
    lifted = f(0) if lifted < f(0) else lifted
    return z * (f(6) if lifted > f(6) else lifted) / f(6)


@jit
def expand_lines(embedded, W, bias, W_t, lines, first, last, begin, end):
    """Write the gates σ(W f + bias) of the channels [begin, end) at the lines [first, last).

    | argument | shape        | what it is                                 |
    |----------|--------------|--------------------------------------------|
    | embedded | (H + W, R)   |                                            |
    | W, bias  | (C, R), (C,) |                                            |
    | W_t      | (R, ≥ C)     | scratch: W transposed                      |
    | lines    | (H + W, ≥ C) | out                                        |
    """
    hidden = W.shape[1]
    for c in range(begin, end):
        for r in range(hidden):
            W_t[r, c] = W[c, r]
    for i in range(first, last):
        line = lines[i, begin:end]
        copy(bias[begin:end], line[:])
        fours = hidden // 4 * 4
        for r in range(0, fours, 4):
            _add_scaled(
                W_t[r, begin:end],
                W_t[r + 1, begin:end],
                W_t[r + 2, begin:end],
                W_t[r + 3, begin:end],
                embedded[i, r : r + 4],
                line,
            )
        for r in range(fours, hidden):
            for c in range(begin, end):
                lines[i, c] += W_t[r, c] * embedded[i, r]
        for c in range(len(line)):
            line[c] = saturating_sigmoid(line[c])


@jit
def _add_scaled(w_0, w_1, w_2, w_3, z, line):
    z_0, z_1, z_2, z_3 = z[0], z[1], z[2], z[3]
    for c in range(len(line)):
        line[c] += (w_0[c] * z_0 + w_1[c] * z_1) + (w_2[c] * z_2 + w_3[c] * z_3)
