"""Gradients of the third pass in Triton: first the sums over channels, then the sums over pixels.

fuse_pixels.py has the equations and the names. g is recomputed and not stored.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import torch
import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import fuse_pixels
from foveate.kernels.triton import map as maps
from foveate.kernels.triton.channels import load_scaled
from foveate.kernels.triton.fuse import arguments, load_gate
from foveate.kernels.triton.fuse_pixels import Arguments, Gradients, allocate_gradients, load_weights, mix
from foveate.kernels.triton.places import block_of
from foveate.kernels.triton.sigmoid import arithmetic

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
    ARITHMETIC: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Per pixel: recompute the products, add two with dy, then the gradients of multi and product."""
    N = N_units * UNIT
    b, p = block_of(N, BLOCK_P)
    p_safe = tl.minimum(p, N - 1)
    F = tl.load(multi + b * N + p, p < N, 0.0).to(tl.float32)
    product += b * (M * N)
    dy += b * (C * N)

    logit = tl.zeros([BLOCK_P], tl.float32)
    of_c, of_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    dy_c, dy_s = tl.zeros([BLOCK_P], tl.float32), tl.zeros([BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST)
        _, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M, ARITHMETIC)
        delta_c, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
        d = tl.load(dy + at, inside, 0.0).to(tl.float32)
        X_s = g * X
        logit += tl.sum(delta_c[:, None] * X + delta_s[:, None] * X_s, 0)
        of_c += tl.sum(a[:, None] * X, 0)
        of_s += tl.sum(a[:, None] * X_s, 0)
        dy_c += tl.sum(d * X, 0)
        dy_s += tl.sum(d * X_s, 0)
    w_0, w_1, alpha = mix(logit, of_c, of_s, dff_bias, aa_bias, ARITHMETIC)
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
        h, g = load_gate(F, product, project, c, p_safe, inside, C, step_m, step_p, M, ARITHMETIC)
        _, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
        d = tl.load(dy + at, inside, 0.0).to(tl.float32)
        u_s = d_l[None, :] * delta_s[:, None] + e_1[None, :] * a[:, None]
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
    ARITHMETIC: tl.constexpr,
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
    delta_c, delta_s, a = load_weights(dff_weight, aa_weight, c, C)
    d_c, d_s = tl.zeros([BLOCK_C], tl.float32), tl.zeros([BLOCK_C], tl.float32)
    d_a = tl.zeros([BLOCK_C], tl.float32)
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
            h, g = load_gate(
                F, product + b * (M * N), project, c, p_safe, inside, C, step_m, step_p, M, ARITHMETIC
            )
            d = tl.load(dy + b * (C * N) + at, inside, 0.0).to(tl.float32)
            of_pixel = pixel + b * (5 * N) + p
            k_0, k_1 = tl.load(of_pixel, in_p, 0.0)[None, :], tl.load(of_pixel + N, in_p, 0.0)[None, :]
            d_l = tl.load(of_pixel + 2 * N, in_p, 0.0)[None, :]
            e_0, e_1 = tl.load(of_pixel + 3 * N, in_p, 0.0), tl.load(of_pixel + 4 * N, in_p, 0.0)
            u_c = d_l * delta_c[:, None] + e_0[None, :] * a[:, None]
            u_s = d_l * delta_s[:, None] + e_1[None, :] * a[:, None]
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


def by_tiles(x: Tensor, given: Arguments, dy: Tensor, channels_last: bool) -> Gradients:
    """Return the gradients of `fuse` for every layout and number of channels."""
    B, C, H, W = x.shape
    N, M, unit = H * W, given.mid, maps.unit(H * W)
    dx, d_multi, d_product = allocate_gradients(x, given, channels_last)
    block_m, pixel = maps.power(M), maps.empty((B, 5, N), x)
    flags = (given.step_m, given.step_p, M, unit, channels_last, arithmetic(x))
    maps_and_project = given.scale, given.multi, given.product, given.project
    with maps.device_of(x):
        block_c, block_p = maps.flat_tile(x.shape, channels_last, 512, 2048)
        over_channels_kernel[(B * maps.blocks(N, block_p),)](
            x, *given.tensors, dy, pixel, d_multi, d_product, C, N // unit, *flags, block_c, block_p, block_m,
            num_warps=maps.warps(block_c * block_p),
        )  # fmt: skip
        block_c, block_p = maps.walk_tile(x.shape, channels_last, 1024)
        pixels = maps.pixels_per_part(x.shape, block_c, block_p)
        parts, blocks_c = maps.blocks(N, pixels), maps.blocks(C, block_c)
        programs = min(B * parts, maps.blocks(4 * maps.FEW, blocks_c))
        d_scale, d_weights = maps.empty((B, parts, C), x), maps.empty((programs, 3, C), x)
        d_project = maps.empty((programs, M, C), x)
        over_pixels_kernel[(programs * blocks_c,)](
            x, *maps_and_project, given.dff_weight, given.aa_weight, dy, pixel,
            dx, d_scale, d_weights, d_project, B, C, N // unit, pixels, programs,
            *flags, block_c, block_p, block_m, num_warps=maps.warps(2 * block_c * block_p),
        )  # fmt: skip
    _, _, d_l, e_0, e_1 = pixel.sum((0, 2))
    sums = d_project.sum(0).t(), d_weights.sum(0), torch.stack([d_l, e_0 + e_1])
    return Gradients(dx, d_scale.sum(1), d_multi, d_product, *sums)


def fuse_backward(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of `fuse` with respect to its arguments; `others` are those behind x, then dy."""
    *small, dy = others
    given = arguments(x, *small)
    maps.check(x, dy=(dy, x.shape))
    x, channels_last = maps.lay(x)
    dy = maps.lay_as(dy, channels_last)
    if not x.shape[0]:
        dx = maps.empty(x.shape, x, x.dtype, channels_last)
        return dx, *(torch.zeros_like(argument) for argument in small)
    if maps.by_pixel(x.shape, channels_last):
        found = fuse_pixels.fuse_backward(x, given, dy)
    else:
        found = by_tiles(x, given, dy, channels_last)
    d_dff, d_aa = found.of_channels[:2].flatten(), found.of_channels[2]
    d_logit, d_beta = found.of_biases
    of_weights = torch.stack([d_dff, -d_dff]), torch.stack([d_logit, -d_logit]), d_aa, d_beta[None]
    gradients = found.scale, found.multi, found.product, found.project.contiguous(), *of_weights
    return found.x, *(d.to(argument.dtype) for d, argument in zip(gradients, small, strict=True))
