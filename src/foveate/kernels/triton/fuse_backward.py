"""Gradients of the third pass in Triton: first the sums over channels, then the sums over pixels.

With X = scale ⊙ x, Δ the difference of DFF's two rows of weights (the softmax depends on it alone), and dy:

    dα = Σ dy (w₀ + w₁ g) X, dβ = dα α (1 - α);
    dw₀ = α Σ dy X + dβ Σ a X, dw₁ = α Σ dy g X + dβ Σ a g X, dl = w₀ w₁ (dw₀ - dw₁);
    u_s = dl Δ_s + dβ w₁ a, dX = α (w₀ + w₁ g) dy + dl Δ_c + dβ w₀ a + g u_s;
    dg = X (α w₁ dy + u_s), dq = dg g (1 - g), d_logits = dq multi h (1 - h),

with h = σ(logits), g = σ(multi h) and α = σ(β). g is recomputed and not stored.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import torch
import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.channels import load_scaled
from foveate.kernels.triton.fuse import arguments, flat, load_gate, load_weights, mix

__all__ = ["fuse_backward"]


@triton.jit
def over_channels_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    multi,  # (B, N)
    product,  # (B, M, N), its maps step_m apart, its pixels step_p
    project,  # (M, C)
    dff_weight,  # (2, 2C)
    dff_bias,  # (2,)
    aa_weight,  # (C,)
    aa_bias,  # (1,)
    dy,  # as x
    pixel,  # (B, 5, N): α w₀, α w₁, dl, dβ w₀, dβ w₁
    d_multi,  # (B, N)
    d_product,  # as product
    C,
    N_units,  # N / UNIT
    step_m,
    step_p,
    M: tl.constexpr,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Per pixel: recompute the products, add two with dy, then the gradients of multi and product."""
    N = N_units * UNIT
    b = (tl.program_id(0) // tl.cdiv(N, BLOCK_P)).to(tl.int64)
    p = (tl.program_id(0) % tl.cdiv(N, BLOCK_P)) * BLOCK_P + tl.arange(0, BLOCK_P)
    p_safe = tl.minimum(p, N - 1)
    F = tl.load(multi + b * N + p, p < N, 0.0).to(tl.float32)
    product += b * (M * N)
    dy += b * (C * N)

    logit_0 = tl.zeros([BLOCK_P], tl.float32) + tl.load(dff_bias).to(tl.float32)
    logit_1 = tl.zeros([BLOCK_P], tl.float32) + tl.load(dff_bias + 1).to(tl.float32)
    of_c, of_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    dy_c, dy_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M)
        c_0, c_1, s_0, s_1, a = load_weights(dff_weight, aa_weight, c, C)
        d = tl.load(dy + at, inside, 0.0).to(tl.float32)
        X_s = g * X
        logit_0 += tl.sum(c_0[:, None] * X + s_0[:, None] * X_s, 0)
        logit_1 += tl.sum(c_1[:, None] * X + s_1[:, None] * X_s, 0)
        of_c += tl.sum(a[:, None] * X, 0)
        of_s += tl.sum(a[:, None] * X_s, 0)
        dy_c += tl.sum(d * X, 0)
        dy_s += tl.sum(d * X_s, 0)
    w_0, w_1, alpha = mix(logit_0, logit_1, of_c, of_s, tl.load(aa_bias).to(tl.float32))
    d_beta = (w_0 * dy_c + w_1 * dy_s) * alpha * (1 - alpha)
    d_l = w_0 * w_1 * (alpha * (dy_c - dy_s) + d_beta * (of_c - of_s))
    k_1, e_1 = alpha * w_1, d_beta * w_1
    pixel += b * (5 * N) + p
    tl.store(pixel, alpha * w_0, p < N)
    tl.store(pixel + N, k_1, p < N)
    tl.store(pixel + 2 * N, d_l, p < N)
    tl.store(pixel + 3 * N, d_beta * w_0, p < N)
    tl.store(pixel + 4 * N, e_1, p < N)

    ms = tl.arange(0, BLOCK_M)
    d_F = tl.zeros([BLOCK_P], tl.float32)
    d_maps = tl.zeros([BLOCK_M, BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        h, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M)
        _, _, s_0, s_1, a = load_weights(dff_weight, aa_weight, c, C)
        d = tl.load(dy + at, inside, 0.0).to(tl.float32)
        u_s = d_l[None, :] * (s_0 - s_1)[:, None] + e_1[None, :] * a[:, None]
        d_q = X * (k_1[None, :] * d + u_s) * g * (1 - g)
        d_F += tl.sum(d_q * h, 0)
        d_logits = d_q * F[None, :] * h * (1 - h)
        for m in tl.static_range(M):
            weight = tl.load(project + m * C + c, c < C, 0.0).to(tl.float32)
            of_map = tl.sum(d_logits * weight[:, None], 0)
            d_maps += tl.where(ms[:, None] == m, of_map[None, :], 0.0)
    tl.store(d_multi + b * N + p, d_F, p < N)
    to = b * (M * N) + (ms * step_m)[:, None] + (p * step_p)[None, :]
    tl.store(d_product + to, d_maps, (ms < M)[:, None] & (p < N)[None, :])


@triton.jit
def over_pixels_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    multi,  # (B, N)
    product,  # (B, M, N), its maps step_m apart, its pixels step_p
    project,  # (M, C)
    dff_weight,  # (2, 2C)
    aa_weight,  # (C,)
    dy,  # as x
    pixel,  # (B, 5, N)
    dx,  # as x
    d_scale,  # (B, parts of N, C): sums over one part of the pixels
    d_weights,  # (programs, 3, C): Σ dl X, Σ dl g X and Σ dβ (w₀ + w₁ g) X over all that a program walks
    d_project,  # (programs, M, C)
    B,
    C,
    N_units,
    pixels,  # pixels of a part
    programs,  # number of programs for the same channels
    step_m,
    step_p,
    M: tl.constexpr,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Per channel: compute dx, and this program's share of the gradients of scale, DFF, AA and P."""
    N = N_units * UNIT
    blocks_c, parts = tl.cdiv(C, BLOCK_C), tl.cdiv(N, pixels)
    program = (tl.program_id(0) // blocks_c).to(tl.int64)
    c = (tl.program_id(0) % blocks_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    ms = tl.arange(0, BLOCK_M)
    in_c = c < C
    _, _, s_0, s_1, a = load_weights(dff_weight, aa_weight, c, C)
    c_0 = tl.load(dff_weight + c, in_c, 0.0).to(tl.float32)
    delta_c = c_0 - tl.load(dff_weight + 2 * C + c, in_c, 0.0).to(tl.float32)
    d_c, d_s, d_a = (
        tl.zeros([BLOCK_C], tl.float32),
        tl.zeros([BLOCK_C], tl.float32),
        tl.zeros([BLOCK_C], tl.float32),
    )
    d_P = tl.zeros([BLOCK_C, BLOCK_M], tl.float32)
    for item in range(program, B * parts, programs):
        b = item // parts
        first = (item % parts) * pixels
        last = tl.minimum(first + pixels, N)
        d_A = tl.zeros([BLOCK_C], tl.float32)
        for start in range(first, last, BLOCK_P):
            p = start + tl.arange(0, BLOCK_P)
            in_p = p < last
            p_safe = tl.minimum(p, N - 1)
            tile, X, s, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
            F = tl.load(multi + b * N + p, in_p, 0.0).to(tl.float32)
            h, g = load_gate(F, product + b * (M * N), project, c, p_safe, inside, C, step_m, step_p, M)
            d = tl.load(dy + b * (C * N) + at, inside, 0.0).to(tl.float32)
            of_pixel = pixel + b * (5 * N) + p
            k_0, k_1 = tl.load(of_pixel, in_p, 0.0)[None, :], tl.load(of_pixel + N, in_p, 0.0)[None, :]
            d_l = tl.load(of_pixel + 2 * N, in_p, 0.0)[None, :]
            e_0, e_1 = tl.load(of_pixel + 3 * N, in_p, 0.0), tl.load(of_pixel + 4 * N, in_p, 0.0)
            u_c = d_l * delta_c[:, None] + e_0[None, :] * a[:, None]
            u_s = d_l * (s_0 - s_1)[:, None] + e_1[None, :] * a[:, None]
            d_X = (k_0 + k_1 * g) * d + u_c + g * u_s
            tl.store(dx + b * (C * N) + at, s[:, None] * d_X, inside)
            d_A += tl.sum(tile * d_X, 1)
            X_s = g * X
            d_c += tl.sum(d_l * X, 1)
            d_s += tl.sum(d_l * X_s, 1)
            d_a += tl.sum(e_0[None, :] * X + e_1[None, :] * X_s, 1)
            d_logits = X * (k_1 * d + u_s) * g * (1 - g) * F[None, :] * h * (1 - h)
            for m in tl.static_range(M):
                of_map = tl.load(product + b * (M * N) + m * step_m + p_safe * step_p).to(tl.float32)
                of_weight = tl.sum(d_logits * of_map[None, :], 1)
                d_P += tl.where(ms[None, :] == m, of_weight[:, None], 0.0)
        tl.store(d_scale + item * C + c, d_A, in_c)
    to = d_weights + program * (3 * C) + c
    tl.store(to, d_c, in_c)
    tl.store(to + C, d_s, in_c)
    tl.store(to + 2 * C, d_a, in_c)
    to = program * (M * C) + ms[None, :] * C + c[:, None]
    tl.store(d_project + to, d_P, in_c[:, None] & (ms < M)[None, :])


def fuse_backward(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of `fuse` with respect to its arguments; `others` are those behind x, then dy."""
    *given, dy = others
    scale, multi, project, *weights = arguments(x, *given)
    product = given[2]
    maps.check(x, dy=(dy, x.shape))
    x, channels_last = maps.lay(x)
    dy = maps.lay_as(dy, channels_last)
    product, step_m, step_p = flat(product)
    B, C, H, W = x.shape
    N, M, unit = H * W, len(project), maps.unit(H * W)
    dx = maps.empty(x.shape, x, x.dtype, channels_last)
    if not B:
        return dx, *(torch.zeros_like(argument) for argument in given)
    block_m = maps.power(M)
    pixel, d_multi = maps.empty((B, 5, N), x), maps.empty(multi.shape, multi, multi.dtype)
    d_product = maps.empty(product.shape, product, product.dtype, step_m == 1 and step_p == M)
    with maps.device_of(x):
        block_c, block_p = maps.flat_tile(x.shape, channels_last, 512, 2048)
        steps, flags = (step_m, step_p), (M, unit, channels_last)
        over_channels_kernel[(B * maps.blocks(N, block_p),)](
            x, scale, multi, product, project, *weights, dy, pixel, d_multi, d_product,
            C, N // unit, *steps, *flags, block_c, block_p, block_m,
            num_warps=maps.warps(block_c * block_p),
        )  # fmt: skip
        block_c, block_p = maps.walk_tile(x.shape, channels_last, 1024)
        pixels = maps.pixels_per_part(x.shape, block_c, block_p)
        parts, blocks_c = maps.blocks(N, pixels), maps.blocks(C, block_c)
        programs = min(B * parts, maps.blocks(4 * maps.FEW, blocks_c))
        d_scale, d_weights = maps.empty((B, parts, C), x), maps.empty((programs, 3, C), x)
        d_project = maps.empty((programs, M, C), x)
        over_pixels_kernel[(programs * blocks_c,)](
            x, scale, multi, product, project, weights[0], weights[2], dy, pixel,
            dx, d_scale, d_weights, d_project, B, C, N // unit, pixels, programs,
            *steps, *flags, block_c, block_p, block_m, num_warps=maps.warps(2 * block_c * block_p),
        )  # fmt: skip
        d_dff, d_aa = d_weights[:, :2].sum(0).flatten(), d_weights[:, 2].sum(0)
        _, _, d_l, e_0, e_1 = pixel.sum((0, 2))
        of_weights = torch.stack([d_dff, -d_dff]), torch.stack([d_l, -d_l]), d_aa, (e_0 + e_1)[None]
        gradients = d_scale.sum(1), d_multi, d_product, d_project.sum(0).t().contiguous(), *of_weights
    return dx, *(d.to(argument.dtype) for d, argument in zip(gradients, given, strict=True))
