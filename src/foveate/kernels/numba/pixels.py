"""The passes over one image whose pixels are vectors, x (P, C) with P = H·W: torch's channels_last format.

Vectors run over the channels of a pixel. Two or four pixels are processed at a time, so that the values of
the channels are read once for all of them.
"""

import numpy as np

from foveate.kernels.numba.intrinsics import maximum
from foveate.kernels.numba.maths import copy, jit, precise_sigmoid, sigmoid
from foveate.kernels.numba.planes import EMBEDDED

__all__ = ["add", "channel_statistics", "fuse", "gate", "pixel_statistics"]

f = np.float32
CHANNELS = 512  # of a chunk, whose weights then stay in the first-level cache
STRIDE = CHANNELS + 16  # of the weights' rows; with a variable the loop over them does not vectorise
PIXELS = 32  # of a block: enough to pay for the copy of the weights


@jit
def channel_statistics(x, totals, maxima, begin, end):
    """Write the sum and the maximum of every channel of x over the pixels [begin, end).

    The sum reads memory in order, one pixel at a time: with four at once it takes up to twice as long where x
    is not in the caches. The maximum then takes the same four pixels at once, from the cache.
    """
    fours = begin + (end - begin) // 4 * 4
    totals[:] = f(0)
    maxima[:] = f(-np.inf)
    for p in range(begin, fours, 4):
        for q in range(p, p + 4):
            add(x[q], totals)
        _raise(x[p], x[p + 1], x[p + 2], x[p + 3], maxima)
    for p in range(fours, end):
        add(x[p], totals)
        _raise(x[p], x[p], x[p], x[p], maxima)


@jit
def add(x, totals):
    """Add x to totals, which are of one length."""
    for c in range(len(totals)):
        totals[c] += x[c]


@jit
def _raise(x_0, x_1, x_2, x_3, maxima):
    for c in range(len(maxima)):
        maxima[c] = maximum(maxima[c], maximum(maximum(x_0[c], x_1[c]), maximum(x_2[c], x_3[c])))


@jit
def pixel_statistics(x, scale, embed, embedded, pooled, begin, end):
    """Write channel mean and maximum of scale ⊙ x at the pixels [begin, end), and x's products with embed.

    | argument | shape                   | what it is                                 |
    |----------|-------------------------|--------------------------------------------|
    | scale    | (C,)                    |                                            |
    | embed    | (EMBEDDED, C) or (0, C) | weights, already times scale               |
    | embedded | (EMBEDDED, P)           | the products, out                          |
    | pooled   | (2, P)                  | mean and maximum, out                      |
    """
    for p in range(begin, end, 2):
        q = min(p + 1, end - 1)
        if len(embed):
            for m in range(0, EMBEDDED, 4):
                products = _embed(x[p], x[q], embed[m], embed[m + 1], embed[m + 2], embed[m + 3])
                for i in range(4):
                    embedded[m + i, p] = products[i]
                    embedded[m + i, q] = products[4 + i]
        total_0, total_1, largest_0, largest_1 = _mean_and_maximum(x[p], x[q], scale)
        pooled[0, p], pooled[1, p] = total_0 / f(len(scale)), largest_0
        pooled[0, q], pooled[1, q] = total_1 / f(len(scale)), largest_1


@jit
def _embed(x_0, x_1, e_0, e_1, e_2, e_3):
    a_0, a_1, a_2, a_3 = f(0), f(0), f(0), f(0)
    b_0, b_1, b_2, b_3 = f(0), f(0), f(0), f(0)
    for c in range(len(x_0)):
        a, b = x_0[c], x_1[c]
        a_0 += e_0[c] * a
        a_1 += e_1[c] * a
        a_2 += e_2[c] * a
        a_3 += e_3[c] * a
        b_0 += e_0[c] * b
        b_1 += e_1[c] * b
        b_2 += e_2[c] * b
        b_3 += e_3[c] * b
    return a_0, a_1, a_2, a_3, b_0, b_1, b_2, b_3


@jit
def _mean_and_maximum(x_0, x_1, scale):
    total_0, total_1, largest_0, largest_1 = f(0), f(0), f(-np.inf), f(-np.inf)
    for c in range(len(scale)):
        a, b = scale[c] * x_0[c], scale[c] * x_1[c]
        total_0 += a
        total_1 += b
        largest_0 = maximum(largest_0, a)
        largest_1 = maximum(largest_1, b)
    return total_0, total_1, largest_0, largest_1


@jit
def fuse(x, y, scale, multi, product, project, of_c, of_s, of_alpha, biases, block, begin, end):
    """Write y = α ⊙ (w₀ + w₁ ⊙ g) ⊙ scale ⊙ x at the pixels [begin, end): see reference.fuse, planes.fuse.

    | argument | shape                    | what it is                                          |
    |----------|--------------------------|-----------------------------------------------------|
    | project  | (EMBEDDED, C)            | P; the others are as in planes.fuse                 |
    | block    | (≥ 11 · STRIDE + 3 · PIXELS,) | scratch                                        |
    """
    channels = len(scale)
    sums = block[11 * STRIDE : 11 * STRIDE + 3 * PIXELS]
    for first in range(begin, end, PIXELS):
        n = min(PIXELS, end - first)
        sums[:] = f(0)
        for start in range(0, channels, CHANNELS):
            stop = min(start + CHANNELS, channels)
            if first == begin or channels > CHANNELS:
                _weights(scale, project, of_c, of_s, of_alpha, block, start, stop)
            for i in range(0, n, 2):
                j = min(i + 1, n - 1)
                p, q = first + i, first + j
                logit_0, c_0, s_0, logit_1, c_1, s_1 = _gate(
                    x[p, start:stop],
                    x[q, start:stop],
                    y[p, start:stop],
                    y[q, start:stop],
                    product[:, p],
                    product[:, q],
                    multi[p],
                    multi[q],
                    block,
                )
                sums[i] += logit_0
                sums[PIXELS + i] += c_0
                sums[2 * PIXELS + i] += s_0
                if j > i:
                    sums[j] += logit_1
                    sums[PIXELS + j] += c_1
                    sums[2 * PIXELS + j] += s_1
        for i in range(n):
            w_0 = sigmoid(sums[i] + biases[0])
            w_1 = f(1) - w_0
            alpha = precise_sigmoid(w_0 * sums[PIXELS + i] + w_1 * sums[2 * PIXELS + i] + biases[1])
            sums[PIXELS + i] = alpha * w_0
            sums[2 * PIXELS + i] = alpha * w_1
        for i in range(n):
            _finish(x[first + i], y[first + i], scale, sums[PIXELS + i], sums[2 * PIXELS + i])


@jit
def _weights(scale, project, of_c, of_s, of_alpha, block, start, stop):
    """Copy into `block` what _gate reads of the channels [start, stop)."""
    for m in range(EMBEDDED):
        copy(project[m, start:stop], block[m * STRIDE : m * STRIDE + stop - start])
    for c in range(stop - start):
        block[8 * STRIDE + c] = of_c[start + c] * scale[start + c]
        block[9 * STRIDE + c] = of_s[start + c] * scale[start + c]
        block[10 * STRIDE + c] = of_alpha[start + c] * scale[start + c]


@jit
def _gate(x_0, x_1, g_0, g_1, q, r, multi_0, multi_1, block):
    """Compute the gates of two pixels; return the channels' sums for their logits and AA's two products."""
    q_0, q_1, q_2, q_3, q_4, q_5, q_6, q_7 = q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7]
    r_0, r_1, r_2, r_3, r_4, r_5, r_6, r_7 = r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
    logit_0, logit_1, c_0, c_1, s_0, s_1 = f(0), f(0), f(0), f(0), f(0), f(0)
    for c in range(len(x_0)):
        p_0, p_1, p_2, p_3 = block[c], block[STRIDE + c], block[2 * STRIDE + c], block[3 * STRIDE + c]
        p_4, p_5 = block[4 * STRIDE + c], block[5 * STRIDE + c]
        p_6, p_7 = block[6 * STRIDE + c], block[7 * STRIDE + c]
        u_c, u_s, u_a = block[8 * STRIDE + c], block[9 * STRIDE + c], block[10 * STRIDE + c]
        A_0 = (p_0 * q_0 + p_1 * q_1 + p_2 * q_2 + p_3 * q_3) + (
            p_4 * q_4 + p_5 * q_5 + p_6 * q_6 + p_7 * q_7
        )
        A_1 = (p_0 * r_0 + p_1 * r_1 + p_2 * r_2 + p_3 * r_3) + (
            p_4 * r_4 + p_5 * r_5 + p_6 * r_6 + p_7 * r_7
        )
        gate_0 = sigmoid(multi_0 * sigmoid(A_0))
        gate_1 = sigmoid(multi_1 * sigmoid(A_1))
        g_0[c] = gate_0
        g_1[c] = gate_1
        t_0, t_1 = x_0[c], x_1[c]
        h_0, h_1 = t_0 * gate_0, t_1 * gate_1
        logit_0 += u_c * t_0 + u_s * h_0
        logit_1 += u_c * t_1 + u_s * h_1
        c_0 += u_a * t_0
        c_1 += u_a * t_1
        s_0 += u_a * h_0
        s_1 += u_a * h_1
    return logit_0, c_0, s_0, logit_1, c_1, s_1


@jit
def _finish(x, y, scale, of_c, of_s):
    """Write the output of a pixel over its gates."""
    for c in range(len(x)):
        y[c] = (of_c + of_s * y[c]) * (scale[c] * x[c])


@jit
def gate(x, y, channels, positions, begin, end):
    """Write y = x ⊙ channels (C,) ⊙ positions (P,) at the pixels [begin, end)."""
    for p in range(begin, end):
        _scale(x[p], y[p], channels, positions[p])


@jit
def _scale(x, y, channels, position):
    for c in range(len(x)):
        y[c] = x[c] * channels[c] * position
