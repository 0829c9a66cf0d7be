"""SimAM in Triton: one pass for mean and variance, one for the gate, and two more for the gradient."""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.channels import offsets
from foveate.kernels.triton.places import channels_of

__all__ = ["simam", "simam_backward"]


@triton.jit
def merge(n, mean, squares, n_new, mean_new, squares_new):
    """Merge count, mean and sum of squared deviations of two sets of numbers (Chan et al. 1979)."""
    both = n + n_new
    delta = mean_new - mean
    mean += delta * (n_new / both)
    squares += squares_new + delta * (delta * (n * n_new / both))
    return both, mean, squares


@triton.jit
def moments_kernel(
    x,  # (B, C, N)
    moments,  # (B, parts of N, 2, C): mean and sum of squared deviations of this program's pixels
    C,
    N_units,  # N / UNIT
    pixels,  # pixels that a program walks
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Merge the moments of one block of pixels after another."""
    N = N_units * UNIT
    b, c, part = channels_of(C, N, pixels, BLOCK_C)
    last = tl.minimum(part * pixels + pixels, N)
    n = 0.0
    mean = tl.zeros([BLOCK_C], tl.float32)
    squares = tl.zeros([BLOCK_C], tl.float32)
    for start in range(part * pixels, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = b * (C * N) + offsets(c, p, C, N, CHANNELS_LAST)
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        n_new = tl.minimum(last - start, BLOCK_P).to(tl.float32)
        mean_new = tl.sum(tile, 1) / n_new
        off = tl.where(inside, tile - mean_new[:, None], 0.0)
        n, mean, squares = merge(n, mean, squares, n_new, mean_new, tl.sum(off * off, 1))
    to = moments + (b * tl.cdiv(N, pixels) + part) * (2 * C) + c
    tl.store(to, mean, c < C)
    tl.store(to + C, squares, c < C)


@triton.jit
def all_moments(moments, b, c, C, N, pixels, BLOCK_C: tl.constexpr):
    """Return mean and variance of the channels c of image b, merged from those of its parts."""
    n = 0.0
    mean = tl.zeros([BLOCK_C], tl.float32)
    squares = tl.zeros([BLOCK_C], tl.float32)
    for part in range(0, tl.cdiv(N, pixels)):
        at = moments + (b * tl.cdiv(N, pixels) + part) * (2 * C) + c
        n_new = tl.minimum(N - part * pixels, pixels) * 1.0
        mean_new, squares_new = tl.load(at, c < C, 0.0), tl.load(at + C, c < C, 0.0)
        n, mean, squares = merge(n, mean, squares, n_new, mean_new, squares_new)
    return mean, squares / N


@triton.jit
def simam_kernel(
    x,  # (B, C, N)
    moments,  # (B, parts of N, 2, C)
    y,  # as x
    e_lambda,
    C,
    N_units,
    pixels,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Compute y = x ⊙ σ(k (x - μ)² + ½), k = 1 / (4 (σ² + λ))."""
    N = N_units * UNIT
    b, c, part = channels_of(C, N, pixels, BLOCK_C)
    mean, variance = all_moments(moments, b, c, C, N, pixels, BLOCK_C)
    k = 1 / (4 * (variance + e_lambda))
    last = tl.minimum(part * pixels + pixels, N)
    for start in range(part * pixels, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = b * (C * N) + offsets(c, p, C, N, CHANNELS_LAST)
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        off = tile - mean[:, None]
        tl.store(y + at, tile * tl.sigmoid(off * off * k[:, None] + 0.5), inside)


@triton.jit
def simam_sums_kernel(
    x,  # (B, C, N)
    moments,  # (B, parts of N, 2, C)
    dy,  # as x
    sums,  # (B, parts of N, 2, C): Σ de ⊙ (x - μ) and Σ de ⊙ (x - μ)² of this program's pixels
    e_lambda,
    C,
    N_units,
    pixels,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Sum de = dy ⊙ x ⊙ σ', the gradient before the sigmoid, for the gradients of mean and variance."""
    N = N_units * UNIT
    b, c, part = channels_of(C, N, pixels, BLOCK_C)
    mean, variance = all_moments(moments, b, c, C, N, pixels, BLOCK_C)
    k = 1 / (4 * (variance + e_lambda))
    last = tl.minimum(part * pixels + pixels, N)
    first_order = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    second_order = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    for start in range(part * pixels, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = b * (C * N) + offsets(c, p, C, N, CHANNELS_LAST)
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        off = tile - mean[:, None]
        g = tl.sigmoid(off * off * k[:, None] + 0.5)
        de = tl.load(dy + at, inside, 0.0).to(tl.float32) * tile * g * (1 - g)
        first_order += de * off
        second_order += de * off * off
    to = sums + (b * tl.cdiv(N, pixels) + part) * (2 * C) + c
    tl.store(to, tl.sum(first_order, 1), c < C)
    tl.store(to + C, tl.sum(second_order, 1), c < C)


@triton.jit
def simam_backward_kernel(
    x,  # (B, C, N)
    moments,  # (B, parts of N, 2, C)
    dy,  # as x
    sums,  # (B, 2, C)
    dx,  # as x
    e_lambda,
    C,
    N_units,
    pixels,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Compute dx = dy ⊙ σ + 2 k (x - μ) ⊙ de + (dμ + 2 (x - μ) dσ²) / N, dμ = -2 k Σ₁, dσ² = -4 k² Σ₂."""
    N = N_units * UNIT
    b, c, part = channels_of(C, N, pixels, BLOCK_C)
    mean, variance = all_moments(moments, b, c, C, N, pixels, BLOCK_C)
    k = 1 / (4 * (variance + e_lambda))
    d_mean = -2 * k * tl.load(sums + b * (2 * C) + c, c < C, 0.0) / N
    d_variance = -4 * k * k * tl.load(sums + b * (2 * C) + C + c, c < C, 0.0) / N
    last = tl.minimum(part * pixels + pixels, N)
    for start in range(part * pixels, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = b * (C * N) + offsets(c, p, C, N, CHANNELS_LAST)
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        d = tl.load(dy + at, inside, 0.0).to(tl.float32)
        off = tile - mean[:, None]
        g = tl.sigmoid(off * off * k[:, None] + 0.5)
        de = d * tile * g * (1 - g)
        d_x = d * g + 2 * off * (k[:, None] * de + d_variance[:, None]) + d_mean[:, None]
        tl.store(dx + at, d_x, inside)


def plan(x: Tensor) -> tuple[Tensor, Tensor, int, tuple, int]:
    """Return x dense, scratch memory for its moments, the number of programs, their sizes and warps."""
    x, channels_last = maps.lay(x)
    B, C, H, W = x.shape
    tile = maps.walk_tile(x.shape, channels_last)
    pixels = maps.pixels_per_part(x.shape, *tile)
    parts = maps.blocks(H * W, pixels)
    unit = maps.unit(H * W)
    sizes = (C, H * W // unit, pixels, unit, channels_last, *tile)
    programs = B * parts * maps.blocks(C, tile[0])
    return x, maps.empty((B, parts, 2, C), x), programs, sizes, maps.warps(tile[0] * tile[1])


def simam(x: Tensor, e_lambda: float) -> Tensor:
    """Return x ⊙ σ((x - μ)² / (4 (σ² + λ)) + ½): see `reference.simam`."""
    maps.check(x)
    x, moments, programs, sizes, num_warps = plan(x)
    y = maps.empty(x.shape, x, x.dtype, sizes[4])
    if programs:
        with maps.device_of(x):
            moments_kernel[(programs,)](x, moments, *sizes, num_warps=num_warps)
            simam_kernel[(programs,)](x, moments, y, e_lambda, *sizes, num_warps=num_warps)
    return y


def simam_backward(x: Tensor, e_lambda: float, dy: Tensor) -> Tensor:
    """Return the gradient of `simam` with respect to x."""
    maps.check(x, dy=(dy, x.shape))
    x, moments, programs, sizes, num_warps = plan(x)
    dy = maps.lay_as(dy, sizes[4])
    dx, sums = maps.empty(x.shape, x, x.dtype, sizes[4]), maps.empty(moments.shape, x)
    if programs:
        with maps.device_of(x):
            moments_kernel[(programs,)](x, moments, *sizes, num_warps=num_warps)
            simam_sums_kernel[(programs,)](x, moments, dy, sums, e_lambda, *sizes, num_warps=num_warps)
            total = sums.sum(1)
            simam_backward_kernel[(programs,)](
                x, moments, dy, total, dx, e_lambda, *sizes, num_warps=num_warps
            )
    return dx
