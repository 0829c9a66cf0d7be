"""The kernels of DMSCA's small maps, for inference: A_c, F_h and F_w, F_multi and F_inter ⊙ (F_h + F_w).

The interaction's 3×3 convolution sees maps that are constant along an axis: F_h along W, F_w along H. So

    conv([F_h ; F_w])(h, w) = Σ_d G_h(d, edge(w), h + d) + Σ_d G_w(d, edge(h), w + d),  d = -1, 0, 1,

where G sums the kernel along the constant axis, over those of its three places that are inside the map: all,
or fewer at an edge. G is computed for each row and each column, and not for each pixel.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import triton
import triton.language as tl

from foveate.kernels.triton.places import block_of
from foveate.kernels.triton.pool import along
from foveate.kernels.triton.sigmoid import sigmoid

__all__ = ["EDGES", "embed_kernel", "hidden_kernel", "scale_kernel", "small_maps_kernel"]

EDGES = 4
"""Inside, at the first place of an axis, at its last, and at both (an axis of length 1)."""


@triton.jit
def hidden_kernel(
    rows,  # (parts of W, B, lines of H)
    maximum,  # (parts, B, C)
    reduce,  # (R, C)
    hidden,  # (B, R)
    B,
    C,
    H,
    R,
    PARTS_W: tl.constexpr,
    PARTS: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute hidden = ReLU(W₁ · (GAP(X) + GMP(X)))."""
    b, r = block_of(R, BLOCK_R)
    total = tl.zeros([BLOCK_R], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        in_c = c < C
        lines = tl.zeros([BLOCK_C, BLOCK_L], tl.float32)
        top = tl.full([BLOCK_C], float("-inf"), tl.float32)
        for part in range(PARTS_W):
            for first in range(0, H, BLOCK_L):
                h = first + tl.arange(0, BLOCK_L)
                at = (part * B + b) * (C * H) + along(c, h, C, H, CHANNELS_LAST)
                lines += tl.load(rows + at, in_c[:, None] & (h < H)[None, :], 0.0).to(tl.float32)
        for part in range(PARTS):
            of_part = tl.load(maximum + (part * B + b) * C + c, in_c, 0.0).to(tl.float32)
            top = tl.maximum(top, of_part, propagate_nan=tl.PropagateNan.ALL)
        descriptor = tl.sum(lines, 1) / H + top
        weight = tl.load(reduce + r[:, None] * C + c[None, :], (r < R)[:, None] & in_c[None, :], 0.0)
        total += tl.sum(weight.to(tl.float32) * descriptor[None, :], 1)
    total = tl.maximum(total, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(hidden + b * R + r, total, r < R)


@triton.jit
def scale_kernel(
    hidden,  # (B, R)
    expand,  # (C, R)
    log_tau,  # (), if LEARNED
    tau,
    scale,  # (B, C)
    C,
    R,
    LEARNED: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """Compute A_c = σ(W₂ · hidden / τ)."""
    b, c = block_of(C, BLOCK_C)
    total = tl.zeros([BLOCK_C, BLOCK_R], tl.float32)
    for start in range(0, R, BLOCK_R):
        r = start + tl.arange(0, BLOCK_R)
        weight = tl.load(expand + c[:, None] * R + r[None, :], (c < C)[:, None] & (r < R)[None, :], 0.0)
        total += weight.to(tl.float32) * tl.load(hidden + b * R + r, r < R, 0.0)[None, :]
    if LEARNED:
        tau = tl.exp(tl.load(log_tau).to(tl.float32))
    tl.store(scale + b * C + c, sigmoid(tl.sum(total, 1) / tau, ARITHMETIC), c < C)


@triton.jit
def embed_lines(
    lines, scale, embed, weight, bias, mean, variance, eps, interact, embedded, turned,
    b, block, B, C, L, first, places, first_input,
    PARTS: tl.constexpr,
    STEP: tl.constexpr,  # of the 3×3 kernel along the lines' axis
    M: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_L: tl.constexpr,
):  # fmt: skip
    """Compute F = BN(Conv1×1(A_c ⊙ Z)) of a block of rows (or of columns) of an image, then G of them."""
    i = block * BLOCK_L + tl.arange(0, BLOCK_L)
    m = tl.arange(0, BLOCK_M)
    in_m, in_l = m < M, i < L
    F = tl.zeros([BLOCK_M, BLOCK_L], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        in_c = c < C
        Z = tl.zeros([BLOCK_C, BLOCK_L], tl.float32)
        for part in range(PARTS):
            at = (part * B + b) * (C * L) + along(c, i, C, L, CHANNELS_LAST)
            Z += tl.load(lines + at, in_c[:, None] & in_l[None, :], 0.0).to(tl.float32)
        Z *= tl.load(scale + b * C + c, in_c, 0.0).to(tl.float32)[:, None]
        for k in tl.static_range(M):
            of_k = tl.sum(tl.load(embed + k * C + c, in_c, 0.0).to(tl.float32)[:, None] * Z, 0)
            F += tl.where(m[:, None] == k, of_k[None, :], 0.0)
    by = tl.load(weight + m, in_m, 0.0).to(tl.float32)
    by /= tl.sqrt(tl.load(variance + m, in_m, 1.0).to(tl.float32) + eps)
    F = (F - tl.load(mean + m, in_m, 0.0).to(tl.float32)[:, None]) * by[:, None]
    F += tl.load(bias + m, in_m, 0.0).to(tl.float32)[:, None]
    inside = in_m[:, None] & in_l[None, :]
    tl.store(embedded + (b * M + m[:, None]) * places + (first + i)[None, :], F, inside)
    OTHER: tl.constexpr = 4 - STEP  # the kernel's step along the axis on which the lines are constant
    for d in range(3):
        for edge in range(4):
            G = tl.zeros([BLOCK_M, BLOCK_L], tl.float32)
            for k in tl.static_range(M):
                at = interact + (m * (2 * M) + first_input + k) * 9 + d * STEP
                w = tl.load(at + OTHER, in_m, 0.0).to(tl.float32)
                w += tl.load(at, in_m & (edge % 2 == 0), 0.0).to(tl.float32)
                w += tl.load(at + 2 * OTHER, in_m & (edge < 2), 0.0).to(tl.float32)
                F_k = tl.sum(tl.where(m[:, None] == k, F, 0.0), 0)
                G += w[:, None] * F_k[None, :]
            to = ((b * 3 + d) * 4 + edge) * M + m[:, None]
            tl.store(turned + to * places + (first + i)[None, :], G, inside)


@triton.jit
def embed_kernel(
    rows,  # (parts of W, B, lines of H)
    columns,  # (parts of H, B, lines of W)
    scale,  # (B, C)
    embed,  # (M, C)
    weight,  # (M,): of the embedding's norm, as the next three
    bias,
    mean,
    variance,
    eps,
    interact,  # (M, 2M, 3, 3)
    embedded,  # (B, M, H + W): F_h and F_w
    turned,  # (B, 3, EDGES, M, H + W): G_h and G_w
    B,
    C,
    H,
    W,
    PARTS_W: tl.constexpr,
    PARTS_H: tl.constexpr,
    M: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute F and G of some rows or columns."""
    blocks_h = tl.cdiv(H, BLOCK_L)
    blocks = blocks_h + tl.cdiv(W, BLOCK_L)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    block = tl.program_id(0) % blocks
    if block < blocks_h:
        embed_lines(
            rows, scale, embed, weight, bias, mean, variance, eps, interact, embedded, turned,
            b, block, B, C, H, 0, H + W, 0, PARTS_W, 3, M, CHANNELS_LAST, BLOCK_M, BLOCK_C, BLOCK_L,
        )  # fmt: skip
    else:
        embed_lines(
            columns, scale, embed, weight, bias, mean, variance, eps, interact, embedded, turned,
            b, block - blocks_h, B, C, W, H, H + W, M, PARTS_H, 1, M, CHANNELS_LAST,
            BLOCK_M, BLOCK_C, BLOCK_L,
        )  # fmt: skip


@triton.jit
def branch(pooled, conv, weight, bias, mean, variance, eps, h, w, H, W, K: tl.constexpr):
    """Compute ReLU(BN(Conv_K×K(S))) at some pixels of an image."""
    total = tl.zeros(h.shape, tl.float32)
    for y in range(K):
        for x in tl.static_range(K):
            row, column = h + y - K // 2, w + x - K // 2
            inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
            at = pooled + row * W + column
            of_mean = tl.load(at, inside, 0.0).to(tl.float32)
            of_top = tl.load(at + H * W, inside, 0.0).to(tl.float32)
            total += tl.load(conv + y * K + x).to(tl.float32) * of_mean
            total += tl.load(conv + K * K + y * K + x).to(tl.float32) * of_top
    by = tl.load(weight).to(tl.float32) / tl.sqrt(tl.load(variance).to(tl.float32) + eps)
    total = (total - tl.load(mean).to(tl.float32)) * by + tl.load(bias).to(tl.float32)
    return tl.maximum(total, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def small_maps_kernel(
    pooled,  # (B, 2, N)
    embedded,  # (B, M, H + W)
    turned,  # (B, 3, EDGES, M, H + W)
    multi,  # (B, N)
    product,  # (B, N, M)
    conv_0, weight_0, bias_0, mean_0, variance_0, eps_0,
    conv_1, weight_1, bias_1, mean_1, variance_1, eps_1,
    conv_2, weight_2, bias_2, mean_2, variance_2, eps_2,
    weight,  # (M,): of the interaction's norm, as the next three
    bias,
    mean,
    variance,
    eps,
    H,
    W,
    most,  # the largest number of the dtype of product
    BRANCHES: tl.constexpr,
    K_0: tl.constexpr,
    K_1: tl.constexpr,
    K_2: tl.constexpr,
    M: tl.constexpr,
    BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Compute F_multi and F_inter ⊙ (F_h + F_w) of some pixels."""
    N = H * W
    b, p = block_of(N, BLOCK_P)
    h, w = p // W, p % W
    pooled += b * (2 * N)
    F = branch(pooled, conv_0, weight_0, bias_0, mean_0, variance_0, eps_0, h, w, H, W, K_0)
    if BRANCHES > 1:
        F += branch(pooled, conv_1, weight_1, bias_1, mean_1, variance_1, eps_1, h, w, H, W, K_1)
    if BRANCHES > 2:
        F += branch(pooled, conv_2, weight_2, bias_2, mean_2, variance_2, eps_2, h, w, H, W, K_2)
    tl.store(multi + b * N + p, F / BRANCHES, p < N)

    edge_h = (h == 0).to(tl.int32) + 2 * (h == H - 1).to(tl.int32)
    edge_w = (w == 0).to(tl.int32) + 2 * (w == W - 1).to(tl.int32)
    for m in tl.static_range(M):
        total = tl.zeros([BLOCK_P], tl.float32)
        for d in tl.static_range(3):
            of_d = turned + (b * 3 + d) * (4 * M * (H + W)) + m * (H + W)
            row, column = h + d - 1, w + d - 1
            in_h, in_w = (row >= 0) & (row < H), (column >= 0) & (column < W)
            total += tl.load(of_d + edge_w * (M * (H + W)) + row, in_h, 0.0)
            total += tl.load(of_d + edge_h * (M * (H + W)) + H + column, in_w, 0.0)
        by = tl.load(weight + m).to(tl.float32) / tl.sqrt(tl.load(variance + m).to(tl.float32) + eps)
        total = (total - tl.load(mean + m).to(tl.float32)) * by + tl.load(bias + m).to(tl.float32)
        total = tl.maximum(total, 0.0, propagate_nan=tl.PropagateNan.ALL)
        of_both = embedded + (b * M + m) * (H + W)
        total *= tl.load(of_both + h, p < N, 0.0) + tl.load(of_both + H + w)
        total = tl.where(total > most, most, tl.where(total < -most, -most, total))  # NaN stays
        tl.store(product + (b * N + p) * M + m, total, p < N)
