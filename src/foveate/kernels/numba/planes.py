"""The passes over one image whose channels are planes, x (C, P) with P = H·W: torch's contiguous format.

A pass over pixels works on blocks of them, small enough that the values it keeps of a block stay in the
second-level cache; vectors run over the pixels of a block. The compiler does not vectorise loops with many
pointers, so everything that a loop accumulates is in one array `block`, one row of STRIDE floats a quantity.
"""

import numpy as np
from numba.extending import register_jitable

from foveate.kernels.anatomy import MOST_MID_CHANNELS
from foveate.kernels.numba.intrinsics import maximum
from foveate.kernels.numba.maths import copy, jit, precise_sigmoid, sigmoid
from foveate.kernels.numba.team import barrier, floats, part_of, whole_lines

__all__ = [
    "BLOCK",
    "EMBEDDED",
    "PIXELS",
    "STRIDE",
    "begin_block",
    "channel_statistics",
    "fuse",
    "gate",
    "largest_of",
    "lines",
    "pixel_statistics",
]

f = np.float32
EMBEDDED = MOST_MID_CHANNELS  # products of a pixel with the embedding weights
PIXELS = 512  # the most of a block: with fewer each channel's fixed cost shows, with more the caches overflow
STRIDE = PIXELS + 16  # so that the rows of a block do not map to the same cache lines
BLOCK = 18 * STRIDE  # of the pass `fuse`


@register_jitable
def _block_width(pixels: int) -> int:
    """Return the pixels of each block but the last: as few blocks as can be, of one width."""
    blocks = max((pixels + PIXELS - 1) // PIXELS, 1)
    return max(whole_lines((pixels + blocks - 1) // blocks), whole_lines(1))


@jit
def channel_statistics(x, means, maxima, begin, end):
    """Write the mean and the maximum of the channels [begin, end) of x."""
    for c in range(begin, end):
        total, largest = _sum_and_maximum(x[c])
        means[c] = total / f(x.shape[1])
        maxima[c] = largest


@jit
def _sum_and_maximum(values):
    total, largest = f(0), f(-np.inf)
    for p in range(len(values)):
        total += values[p]
        largest = maximum(largest, values[p])
    return total, largest


@jit
def lines(x, means, columns):
    """Write the means of the rows (H,) and of the columns (W,) of one channel x (H·W,)."""
    height, width = len(means), len(columns)
    columns[:] = f(0)
    for h in range(height):  # a function called with a slice would cost more than the row itself
        total = f(0)
        for w in range(width):
            total += x[h * width + w]
            columns[w] += x[h * width + w]
        means[h] = total / f(width)
    for w in range(width):
        columns[w] /= f(height)


@jit
def largest_of(values):
    """Return the maximum of values, or NaN if one is NaN."""
    largest = f(-np.inf)
    for p in range(len(values)):
        largest = maximum(largest, values[p])
    return largest


@jit
def pixel_statistics(x, scale, embed, embedded, pooled, block, begin, end):
    """Write mean and maximum of scale ⊙ x over the channels [begin, end) of all pixels; products with embed.

    The mean is their sum over the number of all channels: those of several parts add up, as the products do.

    | argument | shape                   | what it is                       |
    |----------|-------------------------|----------------------------------|
    | scale    | (C,)                    |                                  |
    | embed    | (EMBEDDED, C) or (0, C) | weights, already times scale     |
    | embedded | (EMBEDDED, P)           | the products, out                |
    | pooled   | (2, P)                  | mean and maximum, out            |
    | block    | (≥ 10 · STRIDE,)        | scratch                          |
    """
    channels, P = x.shape
    fours = begin + (end - begin) // 4 * 4
    width = _block_width(P)
    for first in range(0, P, width):
        n = min(width, P - first)
        last = first + n
        block[: 9 * STRIDE] = f(0)
        block[9 * STRIDE : 10 * STRIDE] = f(-np.inf)
        for c in range(begin, fours, 4):
            x_0, x_1 = part_of(x, c * P + first, n), part_of(x, (c + 1) * P + first, n)
            x_2, x_3 = part_of(x, (c + 2) * P + first, n), part_of(x, (c + 3) * P + first, n)
            if len(embed):
                _embed(x_0, x_1, x_2, x_3, embed[:, c : c + 4], block)
            _accumulate(x_0, x_1, x_2, x_3, scale[c], scale[c + 1], scale[c + 2], scale[c + 3], block)
        for c in range(fours, end):
            for p in range(n):
                value = scale[c] * x[c, first + p]
                for m in range(len(embed)):
                    block[m * STRIDE + p] += embed[m, c] * x[c, first + p]
                block[8 * STRIDE + p] += value
                block[9 * STRIDE + p] = maximum(block[9 * STRIDE + p], value)
        for m in range(len(embed)):
            copy(block[m * STRIDE : m * STRIDE + n], embedded[m, first:last])
        for p in range(n):
            pooled[0, first + p] = block[8 * STRIDE + p] / f(channels)
            pooled[1, first + p] = block[9 * STRIDE + p]


@jit
def _embed(x_0, x_1, x_2, x_3, e, block):
    """Add to the first rows of `block` the products of four channels with their weights e (EMBEDDED, 4)."""
    for p in range(len(x_0)):
        a, b, c, d = x_0[p], x_1[p], x_2[p], x_3[p]
        block[p] += e[0, 0] * a + e[0, 1] * b + e[0, 2] * c + e[0, 3] * d
        block[STRIDE + p] += e[1, 0] * a + e[1, 1] * b + e[1, 2] * c + e[1, 3] * d
        block[2 * STRIDE + p] += e[2, 0] * a + e[2, 1] * b + e[2, 2] * c + e[2, 3] * d
        block[3 * STRIDE + p] += e[3, 0] * a + e[3, 1] * b + e[3, 2] * c + e[3, 3] * d
        block[4 * STRIDE + p] += e[4, 0] * a + e[4, 1] * b + e[4, 2] * c + e[4, 3] * d
        block[5 * STRIDE + p] += e[5, 0] * a + e[5, 1] * b + e[5, 2] * c + e[5, 3] * d
        block[6 * STRIDE + p] += e[6, 0] * a + e[6, 1] * b + e[6, 2] * c + e[6, 3] * d
        block[7 * STRIDE + p] += e[7, 0] * a + e[7, 1] * b + e[7, 2] * c + e[7, 3] * d


@jit
def _accumulate(x_0, x_1, x_2, x_3, s_0, s_1, s_2, s_3, block):
    for p in range(len(x_0)):
        a, b, c, d = s_0 * x_0[p], s_1 * x_1[p], s_2 * x_2[p], s_3 * x_3[p]
        block[8 * STRIDE + p] += (a + b) + (c + d)
        block[9 * STRIDE + p] = maximum(block[9 * STRIDE + p], maximum(maximum(a, b), maximum(c, d)))


@jit
def fuse(x, y, scale, multi, product, project, of_c, of_s, of_alpha, biases, block, team, begin, end):
    """Write y = α ⊙ (w₀ + w₁ ⊙ g) ⊙ scale ⊙ x at the channels [begin, end): see reference.fuse.

    The softmax over two depends only on the difference of its logits. These are sums over all channels, for
    which the threads of a team meet in every block of pixels. Until then y holds the gates.

    | argument | shape              | what it is                                                    |
    |----------|--------------------|---------------------------------------------------------------|
    | scale    | (C,)               | A_c                                                           |
    | multi    | (P,)               | F_multi                                                       |
    | product  | (EMBEDDED, P)      | F_inter ⊙ (F_h + F_w)                                         |
    | project  | (C, EMBEDDED)      | P                                                             |
    | of_c     | (C,)               | logit 0 - logit 1 of DFF, the weights of X_c                  |
    | of_s     | (C,)               | the same, of X_s                                              |
    | of_alpha | (C,)               | of AA                                                         |
    | biases   | (2,)               | of that difference, and of AA                                 |
    | block    | (BLOCK,)           | scratch of this thread                                        |
    | team     | three numbers      | the address of the first block, floats to the next, how many  |
    """
    P = x.shape[1]
    width = _block_width(P)
    for first in range(0, P, width):
        n = min(width, P - first)
        last = first + n
        begin_block(product, multi, first, last, block, STRIDE)
        block[9 * STRIDE : 12 * STRIDE] = f(0)
        for c in range(begin, end, 2):
            d = min(c + 1, end - 1)  # an odd last channel is computed twice, the second time with weight 0
            a, b = scale[c], scale[d] if d > c else f(0)
            _gate(
                part_of(x, c * P + first, n),
                part_of(x, d * P + first, n),
                part_of(y, c * P + first, n),
                part_of(y, d * P + first, n),
                part_of(project, c * EMBEDDED, EMBEDDED),
                part_of(project, d * EMBEDDED, EMBEDDED),
                (of_c[c] * a, of_s[c] * a, of_alpha[c] * a),
                (of_c[d] * b, of_s[d] * b, of_alpha[d] * b),
                block,
            )
        _sum_over_team(block, first // width % 2, team)
        for p in range(n):
            w_0 = sigmoid(block[9 * STRIDE + p] + biases[0])
            w_1 = f(1) - w_0
            alpha = precise_sigmoid(w_0 * block[10 * STRIDE + p] + w_1 * block[11 * STRIDE + p] + biases[1])
            block[10 * STRIDE + p] = alpha * w_0
            block[11 * STRIDE + p] = alpha * w_1
        for c in range(begin, end, 2):
            d = min(c + 1, end - 1)
            _finish(
                part_of(x, c * P + first, n),
                part_of(x, d * P + first, n),
                part_of(y, c * P + first, n),
                part_of(y, d * P + first, n),
                scale[c],
                scale[d],
                block,
            )


@jit
def begin_block(product, multi, first, last, block, stride):
    """Write product and F_multi of the pixels [first, last) into the rows 0 to 8 of `block`."""
    for m in range(EMBEDDED):
        copy(product[m, first:last], block[m * stride : m * stride + last - first])
    copy(multi[first:last], block[8 * stride : 8 * stride + last - first])


@jit
def _sum_over_team(block, turn, team):
    """Replace the rows 9 to 11 of `block` by their sums over all threads of the team.

    Each thread shows its rows behind its block, in one of two places in turns: so none changes what another
    thread may still be reading.
    """
    first_block, apart, threads = team
    if threads > 1:
        place = (12 + 3 * turn) * STRIDE
        copy(block[9 * STRIDE : 12 * STRIDE], block[place : place + 3 * STRIDE])
        barrier(threads)
        block[9 * STRIDE : 12 * STRIDE] = f(0)
        for thread in range(threads):
            shown = floats(first_block + 4 * (thread * apart + place), 3 * STRIDE)
            for i in range(3 * STRIDE):
                block[9 * STRIDE + i] += shown[i]


@jit
def _gate(x_0, x_1, g_0, g_1, P_0, P_1, u_0, u_1, block):
    """Compute the gates of two channels; add their share to the logits and to AA's two products."""
    c_0, s_0, a_0 = u_0
    c_1, s_1, a_1 = u_1
    p_0, p_1, p_2, p_3, p_4, p_5, p_6, p_7 = P_0[0], P_0[1], P_0[2], P_0[3], P_0[4], P_0[5], P_0[6], P_0[7]
    r_0, r_1, r_2, r_3, r_4, r_5, r_6, r_7 = P_1[0], P_1[1], P_1[2], P_1[3], P_1[4], P_1[5], P_1[6], P_1[7]
    for p in range(len(x_0)):
        q_0, q_1, q_2, q_3 = block[p], block[STRIDE + p], block[2 * STRIDE + p], block[3 * STRIDE + p]
        q_4, q_5 = block[4 * STRIDE + p], block[5 * STRIDE + p]
        q_6, q_7 = block[6 * STRIDE + p], block[7 * STRIDE + p]
        multi = block[8 * STRIDE + p]
        A_0 = (p_0 * q_0 + p_1 * q_1 + p_2 * q_2 + p_3 * q_3) + (
            p_4 * q_4 + p_5 * q_5 + p_6 * q_6 + p_7 * q_7
        )
        A_1 = (r_0 * q_0 + r_1 * q_1 + r_2 * q_2 + r_3 * q_3) + (
            r_4 * q_4 + r_5 * q_5 + r_6 * q_6 + r_7 * q_7
        )
        gate_0 = sigmoid(multi * sigmoid(A_0))
        gate_1 = sigmoid(multi * sigmoid(A_1))
        g_0[p] = gate_0
        g_1[p] = gate_1
        t_0, t_1 = x_0[p], x_1[p]
        h_0, h_1 = t_0 * gate_0, t_1 * gate_1
        block[9 * STRIDE + p] += (c_0 * t_0 + c_1 * t_1) + (s_0 * h_0 + s_1 * h_1)
        block[10 * STRIDE + p] += a_0 * t_0 + a_1 * t_1
        block[11 * STRIDE + p] += a_0 * h_0 + a_1 * h_1


@jit
def _finish(x_0, x_1, y_0, y_1, s_0, s_1, block):
    """Write two channels of the output over their gates; they may be one and the same."""
    for p in range(len(x_0)):
        of_c, of_s = block[10 * STRIDE + p], block[11 * STRIDE + p]
        g_0, g_1 = y_0[p], y_1[p]
        y_0[p] = (of_c + of_s * g_0) * (s_0 * x_0[p])
        y_1[p] = (of_c + of_s * g_1) * (s_1 * x_1[p])


@jit
def gate(x, y, channels, positions, begin, end):
    """Write y = x ⊙ channels (C,) ⊙ positions (P,) at the channels [begin, end)."""
    P = x.shape[1]
    for c in range(begin, end):
        _scale(part_of(x, c * P, P), part_of(y, c * P, P), channels[c], positions)


@jit
def _scale(x, y, scale, positions):
    for p in range(len(x)):
        y[p] = x[p] * scale * positions[p]
