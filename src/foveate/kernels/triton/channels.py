"""The second pass in Triton: mean and maximum over the channels of scale ⊙ x, per pixel."""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import torch
import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.places import block_of, channels_of, pixels_of
from foveate.kernels.triton.pool import greatest

__all__ = ["load_scaled", "offsets", "pool_channels", "pool_channels_backward"]


@triton.jit
def offsets(c, p, C, N, CHANNELS_LAST: tl.constexpr):
    """Return the offsets of the elements (c, p) of an image."""
    if CHANNELS_LAST:
        return c[:, None] + (p * C)[None, :]
    return (c * N)[:, None] + p[None, :]


@triton.jit
def load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST: tl.constexpr, HAS_SCALE: tl.constexpr = True):
    """Load a tile of x, of scale ⊙ x, and of scale, in float32; 0 outside of the map."""
    in_c = c < C
    inside = in_c[:, None] & (p < N)[None, :]
    at = offsets(c, p, C, N, CHANNELS_LAST)
    tile = tl.load(x + b * (C * N) + at, inside, 0.0).to(tl.float32)
    if HAS_SCALE:
        s = tl.load(scale + b * C + c, in_c, 0.0).to(tl.float32)
        return tile, tl.where(inside, tile * s[:, None], 0.0), s, at, inside
    return tile, tile, tl.full(c.shape, 1.0, tl.float32), at, inside


@triton.jit
def pool_channels_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    pooled,  # (B, 2, N)
    C,
    N_units,  # N / UNIT
    UNIT: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Accumulate sum and maximum of a block of pixels over tiles of channels."""
    N = N_units * UNIT
    b, p = block_of(N, BLOCK_P)
    total = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    top = tl.full([BLOCK_C, BLOCK_P], float("-inf"), tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, _, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST, HAS_SCALE)
        total += X
        top = tl.maximum(top, tl.where(inside, X, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    pooled += b * (2 * N) + p
    tl.store(pooled, tl.sum(total, 0) / C, p < N)
    tl.store(pooled + N, greatest(top, 0), p < N)


@triton.jit
def ties_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    d_pooled,  # (B, 2, N)
    maximum,  # (B, N)
    share,  # (B, N): gradient of the maximum for each channel that equals it
    C,
    N_units,
    UNIT: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Recompute the maximum in float32, and the share of its gradient for each channel that equals it."""
    N = N_units * UNIT
    b, p = block_of(N, BLOCK_P)
    top = tl.full([BLOCK_C, BLOCK_P], float("-inf"), tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, _, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST, HAS_SCALE)
        top = tl.maximum(top, tl.where(inside, X, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
    best = greatest(top, 0)
    count = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        _, X, _, _, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST, HAS_SCALE)
        count += (inside & (best[None, :] == X)).to(tl.float32)
    d = tl.load(d_pooled + b * (2 * N) + N + p, p < N, 0.0).to(tl.float32)
    tl.store(maximum + b * N + p, best, p < N)
    tl.store(share + b * N + p, d / tl.sum(count, 0), p < N)


@triton.jit
def pool_channels_backward_kernel(
    x,  # (B, C, N)
    scale,  # (B, C)
    d_pooled,  # (B, 2, N)
    maximum,  # (B, N)
    share,  # (B, N)
    dx,  # as x
    d_scale,  # (B, parts of N, C): sums over this program's pixels
    C,
    N_units,
    pixels,  # pixels that a program walks
    UNIT: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """dX = d_mean / C + [X is the maximum] · share; dx = scale ⊙ dX and d_scale = Σ over pixels of x ⊙ dX."""
    N = N_units * UNIT
    b, c, part = channels_of(C, N, pixels, BLOCK_C)
    d_s = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    last = tl.minimum(part * pixels + pixels, N)
    for start in range(part * pixels, last, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        tile, X, s, at, inside = load_scaled(x, scale, b, c, p, C, N, CHANNELS_LAST, HAS_SCALE)
        of_mean = tl.load(d_pooled + b * (2 * N) + p, p < N, 0.0).to(tl.float32) / C
        top = tl.load(maximum + b * N + p, p < N, 0.0)
        of_top = tl.load(share + b * N + p, p < N, 0.0)
        d_X = of_mean[None, :] + (top[None, :] == X).to(tl.float32) * of_top[None, :]
        tl.store(dx + b * (C * N) + at, d_X * s[:, None], inside)
        if HAS_SCALE:
            d_s += tile * d_X
    if HAS_SCALE:
        tl.store(d_scale + (b * tl.cdiv(N, pixels) + part) * C + c, tl.sum(d_s, 1), c < C)


@triton.jit
def load_pixel(x, s, at, c, C, HAS_SCALE: tl.constexpr):
    """Load a pixel's channels of x and of scale ⊙ x in float32."""
    tile = tl.load(x + at + c, c < C, 0.0).to(tl.float32)
    if HAS_SCALE:
        return tile, tile * s
    return tile, tile


@triton.jit
def pool_pixels_kernel(
    x,  # (B, N, C)
    scale,  # (B, C)
    pooled,  # (B, 2, N)
    C,
    N,
    pixels,  # pixels that a program walks
    HAS_SCALE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Compute sum and maximum of the channels, a pixel at a time."""
    b, first, end = pixels_of(N, pixels)
    c = tl.arange(0, BLOCK_C)
    s = tl.load(scale + b * C + c, c < C, 0.0).to(tl.float32)
    pooled += b * (2 * N)
    for p in range(first, end):
        _, X = load_pixel(x, s, (b * N + p) * C, c, C, HAS_SCALE)
        tl.store(pooled + p, tl.sum(X, 0) / C)
        tl.store(pooled + N + p, greatest(tl.where(c < C, X, float("-inf")), 0))


@triton.jit
def pool_pixels_backward_kernel(
    x,  # (B, N, C)
    scale,  # (B, C)
    d_pooled,  # (B, 2, N)
    dx,  # as x
    d_scale,  # (B, parts of N, C): sums over this program's pixels
    C,
    N,
    pixels,
    HAS_SCALE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Compute the gradients a pixel at a time: its maximum, the channels that share it, then dx."""
    b, first, end = pixels_of(N, pixels)
    c = tl.arange(0, BLOCK_C)
    s = tl.load(scale + b * C + c, c < C, 0.0).to(tl.float32)
    d_pooled += b * (2 * N)
    d_s = tl.zeros([BLOCK_C], tl.float32)
    for p in range(first, end):
        at = (b * N + p) * C
        tile, X = load_pixel(x, s, at, c, C, HAS_SCALE)
        hit = (c < C) & (greatest(tl.where(c < C, X, float("-inf")), 0) == X)
        of_top = tl.load(d_pooled + N + p).to(tl.float32) / tl.sum(hit.to(tl.float32), 0)
        d_X = tl.load(d_pooled + p).to(tl.float32) / C + hit.to(tl.float32) * of_top
        if HAS_SCALE:
            tl.store(dx + at + c, s * d_X, c < C)
            d_s += tile * d_X
        else:
            tl.store(dx + at + c, d_X, c < C)
    if HAS_SCALE:
        tl.store(d_scale + tl.program_id(0).to(tl.int64) * C + c, d_s, c < C)


def pool_channels(x: Tensor, scale: Tensor | None) -> Tensor:
    """Return [mean over channels ; max over channels] of scale ⊙ x: see `reference.pool_channels`."""
    maps.check(x, scale=(scale, x.shape[:2]))
    x, channels_last = maps.lay(x)
    B, C, H, W = x.shape
    N, unit = H * W, maps.unit(H * W)
    pooled = maps.empty((B, 2, H, W), x, x.dtype)
    s = x if scale is None else scale.contiguous()
    if B and maps.by_pixel(x.shape, channels_last):
        pixels, num_warps = maps.pixels_of_program(x.shape, 256)
        with maps.device_of(x):
            pool_pixels_kernel[(B * maps.blocks(N, pixels),)](
                x, s, pooled, C, N, pixels, scale is not None, maps.power(C), num_warps=num_warps
            )
        return pooled
    block_c, block_p = maps.flat_tile(x.shape, channels_last, 256)
    programs = B * maps.blocks(N, block_p)
    if programs:
        with maps.device_of(x):
            pool_channels_kernel[(programs,)](
                x, s, pooled, C, N // unit, unit, scale is not None, channels_last, block_c, block_p,
                num_warps=maps.warps(block_c * block_p),
            )  # fmt: skip
    return pooled


def pool_channels_backward(x: Tensor, scale: Tensor | None, d_pooled: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of `pool_channels` with respect to x and scale."""
    B, C, H, W = x.shape
    maps.check(x, scale=(scale, (B, C)), d_pooled=(d_pooled, (B, 2, H, W)))
    x, channels_last = maps.lay(x)
    N, unit = H * W, maps.unit(H * W)
    dx = maps.empty(x.shape, x, x.dtype, channels_last)
    if not B:
        return dx, None if scale is None else torch.zeros_like(scale)
    s = x if scale is None else scale.contiguous()
    d_pooled = d_pooled.contiguous()
    if maps.by_pixel(x.shape, channels_last):
        pixels, num_warps = maps.pixels_of_program(x.shape, 256, least=16)
        parts = maps.blocks(N, pixels)
        d_scale = maps.empty((B, parts, C), x)
        with maps.device_of(x):
            pool_pixels_backward_kernel[(B * parts,)](
                x, s, d_pooled, dx, d_scale, C, N, pixels, scale is not None, maps.power(C),
                num_warps=num_warps,
            )  # fmt: skip
        return dx, None if scale is None else d_scale.sum(1).to(scale.dtype)
    block_c, block_p = maps.flat_tile(x.shape, channels_last, 256)
    programs = B * maps.blocks(N, block_p)
    maximum, share = maps.empty((B, N), x), maps.empty((B, N), x)
    flags = (unit, scale is not None, channels_last)
    with maps.device_of(x):
        ties_kernel[(programs,)](
            x, s, d_pooled, maximum, share, C, N // unit, *flags, block_c, block_p,
            num_warps=maps.warps(block_c * block_p),
        )  # fmt: skip
        block_c, block_p = maps.walk_tile(x.shape, channels_last)
        pixels = maps.pixels_per_part(x.shape, block_c, block_p)
        parts = maps.blocks(N, pixels)
        d_scale = maps.empty((B, parts, C), x)
        pool_channels_backward_kernel[(B * parts * maps.blocks(C, block_c),)](
            x, s, d_pooled, maximum, share, dx, d_scale, C, N // unit, pixels, *flags, block_c, block_p,
            num_warps=maps.warps(block_c * block_p),
        )  # fmt: skip
    return dx, None if scale is None else d_scale.sum(1).to(scale.dtype)
