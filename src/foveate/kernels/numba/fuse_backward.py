"""Gradients of DMSCA's third pass over one image whose channels are planes: see planes.fuse."""

import numpy as np

from foveate.kernels.numba.maths import copy, jit, precise_sigmoid, sigmoid
from foveate.kernels.numba.planes import EMBEDDED, begin_block
from foveate.kernels.numba.planes_backward import PIXELS, STRIDE

__all__ = ["ROWS", "fuse"]

f = np.float32
ROWS = 23  # of a block


@jit
def fuse(
    x,
    scale,
    multi,
    product,
    project,
    of_c,
    of_s,
    of_alpha,
    biases,
    dy,
    dx,
    d_scale,
    d_multi,
    d_product,
    sums,
    gates,
    block,
):
    """Write the gradients of an image, and add those of the weights to `sums`.

    | argument  | shape             | what it is                                                        |
    |-----------|-------------------|-------------------------------------------------------------------|
    | x … biases |                  | see planes.fuse                                                   |
    | d_scale   | (C,)              | out                                                               |
    | d_multi   | (P,)              | out                                                               |
    | d_product | (EMBEDDED, P)     | out                                                               |
    | sums      | (C + 1, EMBEDDED + 3) | of P, of_c, of_s and of_alpha; in the last row of both biases |
    | gates     | (≥ 2 · C · STRIDE,) | scratch: g, then the gradient before the sigmoids; h             |
    | block     | (≥ ROWS · STRIDE,) | scratch                                                          |

    The rows of `block`: 0 to 7 product, 8 multi, 9 the logit, then its gradient d_l; 10, 11 AA's products,
    then α w₀, α w₁; 12, 13 those of dy, then dβ w₀, dβ w₁; 14 d_multi, 15 to 22 d_product. Names as in
    triton/fuse_backward.py.
    """
    channels, pixels = x.shape
    d_scale[:] = f(0)
    for first in range(0, pixels, PIXELS):
        n = min(PIXELS, pixels - first)
        last = first + n
        begin_block(product, multi, first, last, block, STRIDE)
        block[9 * STRIDE : ROWS * STRIDE] = f(0)
        for c in range(channels):
            own = gates[2 * c * STRIDE : 2 * (c + 1) * STRIDE]
            s = scale[c]
            _sum(
                x[c, first:last],
                dy[c, first:last],
                own,
                project[c],
                (s, of_c[c], of_s[c], of_alpha[c]),
                block,
            )
        d_logit, d_beta = _differentiate_pixels(n, biases, block)
        sums[channels, 0] += d_logit
        sums[channels, 1] += d_beta
        for c in range(channels):
            own = gates[2 * c * STRIDE : 2 * (c + 1) * STRIDE]
            weights = (scale[c], of_c[c], of_s[c], of_alpha[c])
            found = _differentiate(
                x[c, first:last], dy[c, first:last], dx[c, first:last], own, weights, block
            )
            d_scale[c] += found[0]
            sums[c, EMBEDDED] += found[1]
            sums[c, EMBEDDED + 1] += found[2]
            sums[c, EMBEDDED + 2] += found[3]
            for m in range(0, EMBEDDED, 4):
                of_four = _project(n, own, project[c, m : m + 4], block[m * STRIDE :])
                for i in range(4):
                    sums[c, m + i] += of_four[i]
        copy(block[14 * STRIDE : 14 * STRIDE + n], d_multi[first:last])
        for m in range(EMBEDDED):
            copy(block[(15 + m) * STRIDE : (15 + m) * STRIDE + n], d_product[m, first:last])


@jit
def _sum(x, dy, gates, P, weights, block):
    """Compute g and h of a channel; add its share to the logits, AA's products, and those with dy."""
    s, u_c, u_s, a = weights
    p_0, p_1, p_2, p_3, p_4, p_5, p_6, p_7 = P[0], P[1], P[2], P[3], P[4], P[5], P[6], P[7]
    for p in range(len(x)):
        A = (
            p_0 * block[p]
            + p_1 * block[STRIDE + p]
            + p_2 * block[2 * STRIDE + p]
            + p_3 * block[3 * STRIDE + p]
        ) + (
            p_4 * block[4 * STRIDE + p]
            + p_5 * block[5 * STRIDE + p]
            + p_6 * block[6 * STRIDE + p]
            + p_7 * block[7 * STRIDE + p]
        )
        h = sigmoid(A)
        g = sigmoid(block[8 * STRIDE + p] * h)
        gates[p] = g
        gates[STRIDE + p] = h
        X = s * x[p]
        X_s = g * X
        block[9 * STRIDE + p] += u_c * X + u_s * X_s
        block[10 * STRIDE + p] += a * X
        block[11 * STRIDE + p] += a * X_s
        block[12 * STRIDE + p] += dy[p] * X
        block[13 * STRIDE + p] += dy[p] * X_s


@jit
def _differentiate_pixels(n, biases, block):
    """Turn the sums of each pixel into what its channels need; return the gradients of both biases."""
    sum_l, sum_beta = f(0), f(0)
    for p in range(n):
        w_0 = precise_sigmoid(block[9 * STRIDE + p] + biases[0])
        w_1 = f(1) - w_0
        of_c, of_s = block[10 * STRIDE + p], block[11 * STRIDE + p]
        dy_c, dy_s = block[12 * STRIDE + p], block[13 * STRIDE + p]
        alpha = precise_sigmoid(w_0 * of_c + w_1 * of_s + biases[1])
        d_beta = (w_0 * dy_c + w_1 * dy_s) * alpha * (f(1) - alpha)
        d_l = w_0 * w_1 * (alpha * (dy_c - dy_s) + d_beta * (of_c - of_s))
        block[9 * STRIDE + p] = d_l
        block[10 * STRIDE + p] = alpha * w_0
        block[11 * STRIDE + p] = alpha * w_1
        block[12 * STRIDE + p] = d_beta * w_0
        block[13 * STRIDE + p] = d_beta * w_1
        sum_l += d_l
        sum_beta += d_beta
    return sum_l, sum_beta


@jit
def _differentiate(x, dy, dx, gates, weights, block):
    """Write dx of a channel and the gradient before its sigmoids; return those of its four weights."""
    s, u_c, u_s, a = weights
    d_s, d_of_c, d_of_s, d_a = f(0), f(0), f(0), f(0)
    for p in range(len(x)):
        g, h = gates[p], gates[STRIDE + p]
        d_l = block[9 * STRIDE + p]
        k_1, e_0, e_1 = block[11 * STRIDE + p], block[12 * STRIDE + p], block[13 * STRIDE + p]
        X, d = s * x[p], dy[p]
        of_g = k_1 * d + d_l * u_s + e_1 * a
        d_X = block[10 * STRIDE + p] * d + d_l * u_c + e_0 * a + of_g * g
        dx[p] = d_X * s
        d_s += d_X * x[p]
        X_s = g * X
        d_of_c += d_l * X
        d_of_s += d_l * X_s
        d_a += e_0 * X + e_1 * X_s
        d_q = X_s * of_g * (f(1) - g)
        block[14 * STRIDE + p] += d_q * h
        gates[p] = d_q * block[8 * STRIDE + p] * h * (f(1) - h)
    return d_s, d_of_c, d_of_s, d_a


@jit
def _project(n, gates, P, block):
    """Add four maps' share of a channel to d_product; return the gradients of their four weights.

    `block` begins with the first of the four maps in it.
    """
    p_0, p_1, p_2, p_3 = P[0], P[1], P[2], P[3]
    a_0, a_1, a_2, a_3 = f(0), f(0), f(0), f(0)
    for p in range(n):
        d = gates[p]
        a_0 += d * block[p]
        a_1 += d * block[STRIDE + p]
        a_2 += d * block[2 * STRIDE + p]
        a_3 += d * block[3 * STRIDE + p]
        block[15 * STRIDE + p] += p_0 * d
        block[16 * STRIDE + p] += p_1 * d
        block[17 * STRIDE + p] += p_2 * d
        block[18 * STRIDE + p] += p_3 * d
    return a_0, a_1, a_2, a_3
