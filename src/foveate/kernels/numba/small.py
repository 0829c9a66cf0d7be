"""The small parts of the mechanisms: maps of few channels, and one number per channel."""

import math

import numpy as np

from foveate.kernels.numba.maths import copy, jit, sigmoid
from foveate.kernels.numba.team import barrier, floats, share

__all__ = [
    "channel_mlp",
    "convolve_pair",
    "convolve_pair_backward",
    "directions",
    "excite_twice",
    "fold",
    "pad_pair",
    "read_kernels",
    "saturating_sigmoid",
    "squeeze",
]

f = np.float32


@jit
def dot(a, b):
    """Return Σ a b."""
    total = f(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@jit
def fold(scale, shift, weight, bias, mean, variance, eps):
    """Write a batch norm in eval mode as scale · x + shift."""
    for i in range(len(scale)):
        scale[i] = weight[i] / f(math.sqrt(variance[i] + f(eps)))
        shift[i] = bias[i] - mean[i] * scale[i]


@jit
def channel_mlp(z, W_1, W_2, hidden, out, rank, team):
    """Write out = W₂ · ReLU(W₁ · z), in all threads: z (C,), W₁ (R, C), hidden (R,), W₂ (C, R)."""
    begin, end = share(len(hidden), rank, team)
    for r in range(begin, end):
        h = dot(W_1[r], z)
        hidden[r] = f(0) if h < f(0) else h
    barrier(team)
    begin, end = share(len(out), rank, team)
    for c in range(begin, end):
        out[c] = dot(W_2[c], hidden)


@jit
def squeeze(z, W, bias, hidden, begin, end):
    """Add ReLU(W · z + bias) to hidden (R,) at [begin, end): z (C,), W (R, C), bias (R,)."""
    for r in range(begin, end):
        h = dot(W[r], z) + bias[r]
        hidden[r] += f(0) if h < f(0) else h


@jit
def excite_twice(hidden, W, bias, out, begin, end):
    """Write out (C,) = σ(W · hidden + 2 bias) at [begin, end): hidden (R,), W (C, R), bias (C,).

    `hidden` is the sum of two vectors, each of which has the bias once.
    """
    for c in range(begin, end):
        out[c] = f(1) / (f(1) + math.exp(-(dot(W[c], hidden) + f(2) * bias[c])))


@jit
def saturating_sigmoid(z):
    """Return σ(z), exactly 0 where float32 rounds it to 0: infinity times it is then NaN, as in torch."""
    return f(0) if z < f(-88) else sigmoid(z)


@jit
def pad_pair(pooled, height, width, margin, padded):
    """Write two maps pooled (2, P) with `margin` zeros on each side into `padded` (2, …), row by row."""
    padded[:] = f(0)
    for i in range(2):
        for h in range(height):
            inside = (h + margin) * (width + 2 * margin) + margin
            copy(pooled[i, h * width : (h + 1) * width], padded[i, inside : inside + width])


@jit
def read_kernels(address, channels_last, target):
    """Write the kernels at `address`, in either memory format, into target (count, maps, k, k)."""
    count, maps, k = target.shape[:3]
    source = floats(address, count * maps * k * k)
    from_map, from_tap = (1, maps) if channels_last else (k * k, 1)
    for o in range(count):
        for i in range(maps):
            for y in range(k):
                for x in range(k):
                    place = o * maps * k * k + i * from_map + (y * k + x) * from_tap
                    target[o, i, y, x] = source[place]


@jit
def convolve_pair(padded, start, weight, total, width):
    """Add to total (L,) the 2 -> 1 convolution of `padded` (2, …) from `start` on with `weight` (2, k, k).

    Both maps have rows of `width`, padding included. A tap is then an offset in memory; what is computed at
    the padding of the result is never read.
    """
    size = weight.shape[1]
    for i in range(2):
        for dy in range(size):
            for dx in range(size):
                first = start + dy * width + dx
                _add_scaled(total, padded[i, first : first + len(total)], weight[i, dy, dx])


@jit
def _add_scaled(total, values, weight):
    for p in range(len(total)):
        total[p] += weight * values[p]


@jit
def convolve_pair_backward(padded, weight, d_total, d_padded, d_weight, width):
    """Add the gradients of `convolve_pair` from 0 on to d_padded (2, …) and to d_weight (2, k, k).

    `d_total` is 0 at the padding of the result.
    """
    size = weight.shape[1]
    for i in range(2):
        for dy in range(size):
            for dx in range(size):
                first = dy * width + dx
                last = first + len(d_total)
                d_weight[i, dy, dx] += dot(padded[i, first:last], d_total)
                _add_scaled(d_padded[i, first:last], d_total, weight[i, dy, dx])


@jit
def directions(embedded, height, width, scale, shift, weight, row, column, terms, product):
    """Write product (M, P) = F_inter ⊙ (F_h + F_w), from the output of DII's 1×1 for X_c, (M, P).

    F_h and F_w are normalised means of that output. The interaction convolves [F_h ; F_w] expanded, whose
    rows (or columns) are equal; away from the borders it is a sum of one number per row and one per column.

    | argument         | shape          | what it is                               |
    |------------------|----------------|------------------------------------------|
    | scale, shift     | (2, M)         | the norms: of F_h and F_w, of F_inter    |
    | weight           | (M, 2M, 3, 3)  | of the interaction                       |
    | row, column      | (M, H), (M, W) | F_h and F_w, out                         |
    | terms            | (W,)           | scratch                                  |
    """
    for m in range(len(row)):
        column[m] = f(0)
        for h in range(height):
            total = f(0)
            for w in range(width):
                value = embedded[m, h * width + w]
                total += value
                column[m, w] += value
            row[m, h] = total / f(width) * scale[0, m] + shift[0, m]
        for w in range(width):
            column[m, w] = column[m, w] / f(height) * scale[0, m] + shift[0, m]
    for m in range(len(row)):
        for h in range(height):
            if h < 2 or h == height - 1:  # all rows between have the same terms
                _column_terms(column, weight[m], h, height, terms)
            left, middle, right = _row_terms(row, weight[m], h, height)
            out = product[m, h * width : (h + 1) * width]
            for w in range(width):
                inter = (middle + terms[w]) * scale[1, m] + shift[1, m]
                out[w] = (f(0) if inter < f(0) else inter) * (row[m, h] + column[m, w])
            for w in range(0, width, max(width - 1, 1)):
                edge = middle - (left if w == 0 else f(0)) - (right if w == width - 1 else f(0))
                inter = (edge + terms[w]) * scale[1, m] + shift[1, m]
                out[w] = (f(0) if inter < f(0) else inter) * (row[m, h] + column[m, w])


@jit
def _row_terms(row, weight, h, height):
    """Return what F_h adds to the interaction at row h: by the left tap, by all three, by the right one."""
    left, middle, right = f(0), f(0), f(0)
    for j in range(len(row)):
        for dy in range(3):
            if 0 <= h + dy - 1 < height:
                value = row[j, h + dy - 1]
                left += value * weight[j, dy, 0]
                middle += value * (weight[j, dy, 0] + weight[j, dy, 1] + weight[j, dy, 2])
                right += value * weight[j, dy, 2]
    return left, middle, right


@jit
def _column_terms(column, weight, h, height, terms):
    """Write what F_w adds to the interaction at every column of row h."""
    mid, width = column.shape
    terms[:] = f(0)
    for j in range(mid):
        left, centre, right = f(0), f(0), f(0)
        for dy in range(3):
            if 0 <= h + dy - 1 < height:
                left += weight[mid + j, dy, 0]
                centre += weight[mid + j, dy, 1]
                right += weight[mid + j, dy, 2]
        for w in range(width):
            terms[w] += centre * column[j, w]
        for w in range(1, width):
            terms[w] += left * column[j, w - 1]
        for w in range(width - 1):
            terms[w] += right * column[j, w + 1]
