"""DMSCA's inference in Triton: seven launches, where the operators between the passes are some forty.

Beside the three passes there are four kernels of small maps. Two compute A_c from the means and maxima of the
channels, one F_h and F_w, and one F_multi and F_inter ⊙ (F_h + F_w). The batch norms are those of inference.

The interaction's 3×3 convolution sees maps that are constant along an axis: F_h along W, F_w along H. So

    conv([F_h ; F_w])(h, w) = Σ_d G_h(d, edge(w), h + d) + Σ_d G_w(d, edge(h), w + d),  d = -1, 0, 1,

where G sums the kernel along the constant axis, over those of its three places that are inside the map: all,
or fewer at an edge. G is computed for each row and each column, and not for each pixel.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.anatomy import ON_GPU
from foveate.kernels.triton import channels, fuse, pool
from foveate.kernels.triton import map as maps
from foveate.kernels.triton.pool import along
from foveate.kernels.triton.sigmoid import arithmetic, sigmoid

__all__ = ["attend"]

TILE = 4096
"""Elements of a tile of rows or columns."""
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
    blocks = tl.cdiv(R, BLOCK_R)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    r = (tl.program_id(0) % blocks) * BLOCK_R + tl.arange(0, BLOCK_R)
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
    blocks = tl.cdiv(C, BLOCK_C)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    c = (tl.program_id(0) % blocks) * BLOCK_C + tl.arange(0, BLOCK_C)
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
    blocks = tl.cdiv(N, BLOCK_P)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    p = (tl.program_id(0) % blocks) * BLOCK_P + tl.arange(0, BLOCK_P)
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


def attend(x: Tensor, weights: Sequence[Tensor], numbers: Sequence[float]) -> Tensor:
    """Return DMSCA of x (B, C, H, W) by a module's weights, in the order of its state dict, and its numbers.

    The numbers are a fixed temperature (0: it is learned) and the eps of every norm.
    """
    maps.check(x)
    x, channels_last = maps.lay(x)
    if not x.shape[0]:
        return x.clone()
    temperature, *eps = numbers
    reduce, expand, *others = (weight.contiguous() for weight in weights)
    log_tau = expand if temperature else others.pop(0)
    branches, (embed, *embed_norm), (interact, *interact_norm) = others[:-15], others[-15:-10], others[-10:-5]
    project, dff, dff_bias, aa, aa_bias = others[-5:]
    with maps.device_of(x):
        rows, columns, maximum = pool.pool_parts(x, channels_last)
        A_c = _weigh(x, rows, maximum, reduce, expand, log_tau, temperature, channels_last)
        pooled = channels.pool_channels(x, A_c)
        lines = _embed(x, rows, columns, A_c, embed, embed_norm, eps[-2], interact, channels_last)
        F_multi, product = _small_maps(x, pooled, *lines, branches, interact_norm, eps)
    of_channels = project.flatten(1), dff.flatten(1), dff_bias, aa.flatten(), aa_bias
    return fuse.fuse(x, A_c, F_multi, product, *of_channels)


def _weigh(
    x: Tensor,
    rows: Tensor,
    maximum: Tensor,
    reduce: Tensor,
    expand: Tensor,
    log_tau: Tensor,
    temperature: float,
    channels_last: bool,
) -> Tensor:
    """Return A_c (B, C)."""
    B, C, H, _ = x.shape
    R = len(reduce)
    hidden, scale = maps.empty((B, R), x), maps.empty((B, C), x, x.dtype)
    block_r, block_c, block_l = _block(R, 64, B), _block(C, 128, B), min(maps.power(H), 64)
    hidden_kernel[(B * maps.blocks(R, block_r),)](
        rows, maximum, reduce, hidden, B, C, H, R, len(rows), len(maximum), channels_last,
        block_r, min(maps.power(C), TILE // block_l), block_l, num_warps=4,
    )  # fmt: skip
    scale_kernel[(B * maps.blocks(C, block_c),)](
        hidden, expand, log_tau, temperature, scale, C, R, temperature == 0, min(arithmetic(x), 1),
        block_c, min(maps.power(R), 64), num_warps=4,
    )  # fmt: skip
    return scale


def _embed(
    x: Tensor,
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    embed: Tensor,
    norm: Sequence[Tensor],
    eps: float,
    interact: Tensor,
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    """Return F_h and F_w (B, M, H + W), and G of both (B, 3, EDGES, M, H + W)."""
    B, C, H, W = x.shape
    M = len(embed)
    embedded, turned = maps.empty((B, M, H + W), x), maps.empty((B, 3, EDGES, M, H + W), x)
    block_l = min(_block(H, 64, B), _block(W, 64, B))
    embed_kernel[(B * (maps.blocks(H, block_l) + maps.blocks(W, block_l)),)](
        rows, columns, scale, embed, *norm, eps, interact, embedded, turned, B, C, H, W,
        len(rows), len(columns), M, channels_last,
        maps.power(M), min(maps.power(C), TILE // block_l), block_l, num_warps=4,
    )  # fmt: skip
    return embedded, turned


def _small_maps(
    x: Tensor,
    pooled: Tensor,
    embedded: Tensor,
    turned: Tensor,
    branches: Sequence[Tensor],
    norm: Sequence[Tensor],
    eps: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Return F_multi (B, 1, H, W), and F_inter ⊙ (F_h + F_w) (B, M, H, W) in channels_last."""
    B, _, H, W = x.shape
    M, n = embedded.shape[1], len(branches) // 5
    multi, product = maps.empty((B, 1, H, W), x, x.dtype), maps.empty((B, H, W, M), x, x.dtype)
    taken = [min(i, n - 1) for i in range(ON_GPU["dmsca"])]  # the kernel leaves out those beyond n
    of_branches = [part for i in taken for part in (*branches[5 * i : 5 * i + 5], eps[i])]
    block_p = _block(H * W, 128, B)
    small_maps_kernel[(B * maps.blocks(H * W, block_p),)](
        pooled, embedded, turned, multi, product, *of_branches, *norm, eps[-1], H, W,
        torch.finfo(x.dtype).max, n, *(branches[5 * i].shape[-1] for i in taken), M, block_p,
        num_warps=maps.warps(8 * block_p),
    )  # fmt: skip
    return multi, product.permute(0, 3, 1, 2)


def _block(n: int, most: int, images: int) -> int:
    """Return the block, a power of two, that cuts an axis of each image so that no processor is idle."""
    block = min(maps.power(n), most)
    while block > 8 and images * maps.blocks(n, block) < maps.FEW:
        block //= 2
    return block
