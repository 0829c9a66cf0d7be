"""The first pass in Triton: means of rows, means of columns and the maximum of every channel, in one read.

The means have the layout of the map: for a map in channels_last their channels are adjacent in memory, too.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import math
from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps

__all__ = ["greatest", "pool", "pool_backward"]


@triton.jit
def greatest(x, axis: tl.constexpr):
    """Return the maximum along an axis, NaN if there is one, which tl.max alone would ignore."""
    nan = x != x
    top = tl.max(tl.where(nan, float("-inf"), x), axis)
    return tl.where(tl.max(nan.to(tl.int32), axis) > 0, float("nan"), top)


@triton.jit
def place(B, C, H, W, rows, BLOCK_C: tl.constexpr, BLOCK_W: tl.constexpr):
    """Return this program's image, channels, first row, columns, and its part of rows and of columns."""
    program = tl.program_id(0)
    parts_w = tl.cdiv(W, BLOCK_W)
    part_w = program % parts_w
    program //= parts_w
    parts_h = tl.cdiv(H, rows)
    part_h = program % parts_h
    program //= parts_h
    blocks_c = tl.cdiv(C, BLOCK_C)
    c = (program % blocks_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    b = (program // blocks_c).to(tl.int64)
    return b, c, part_h * rows, part_w * BLOCK_W + tl.arange(0, BLOCK_W), part_h, part_w


@triton.jit
def strides(C, H, W, CHANNELS_LAST: tl.constexpr):
    """Return the strides of channels, rows and columns."""
    if CHANNELS_LAST:
        return 1, W * C, C
    return H * W, W, 1


@triton.jit
def along(c, i, C, L, CHANNELS_LAST: tl.constexpr):
    """Return the offsets of the elements (c, i) of an image's lines, (C, L) or, in channels_last, (L, C)."""
    if CHANNELS_LAST:
        return c[:, None] + (i * C)[None, :]
    return c[:, None] * L + i[None, :]


@triton.jit
def pool_kernel(
    x,  # (B, C, H, W)
    rows_mean,  # (parts of W, B, lines of H): sums of this program's columns, over W
    columns_mean,  # (parts of H, B, lines of W): sums of this program's rows, over H
    maximum,  # (parts of H, parts of W, B, C)
    B,
    C,
    H,
    W_units,  # W / UNIT
    rows,  # rows that a program walks
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Walk over the rows: write each row's sum at once, accumulate columns and maximum."""
    W = W_units * UNIT
    b, c, first, w, part_h, part_w = place(B, C, H, W, rows, BLOCK_C, BLOCK_W)
    step_c, step_h, step_w = strides(C, H, W, CHANNELS_LAST)
    x += b * (C * H * W)
    in_c, in_w = c < C, w < W
    last = tl.minimum(first + rows, H)
    total = tl.zeros([BLOCK_C, BLOCK_H, BLOCK_W], tl.float32)
    top = tl.full([BLOCK_C, BLOCK_H, BLOCK_W], float("-inf"), tl.float32)
    for start in range(first, last, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        in_h = h < last
        inside = in_c[:, None, None] & in_h[None, :, None] & in_w[None, None, :]
        at = (c * step_c)[:, None, None] + (h * step_h)[None, :, None] + (w * step_w)[None, None, :]
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        total += tile
        top = tl.maximum(top, tl.where(inside, tile, float("-inf")), propagate_nan=tl.PropagateNan.ALL)
        to = (part_w * B + b) * (C * H) + along(c, h, C, H, CHANNELS_LAST)
        tl.store(rows_mean + to, tl.sum(tile, 2) / W, in_c[:, None] & in_h[None, :])
    to = (part_h * B + b) * (C * W) + along(c, w, C, W, CHANNELS_LAST)
    tl.store(columns_mean + to, tl.sum(total, 1) / H, in_c[:, None] & in_w[None, :])
    to = ((part_h * tl.cdiv(W, BLOCK_W) + part_w) * B + b) * C + c
    tl.store(maximum + to, greatest(greatest(top, 2), 1), in_c)


@triton.jit
def ties_kernel(
    x,  # (B, C, H, W)
    maximum,  # (B, C)
    ties,  # (parts of H, parts of W, B, C): how many of this program's elements are the maximum
    B,
    C,
    H,
    W_units,
    rows,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Count the elements that share the gradient of the maximum."""
    W = W_units * UNIT
    b, c, first, w, part_h, part_w = place(B, C, H, W, rows, BLOCK_C, BLOCK_W)
    step_c, step_h, step_w = strides(C, H, W, CHANNELS_LAST)
    x += b * (C * H * W)
    in_c, in_w = c < C, w < W
    last = tl.minimum(first + rows, H)
    top = tl.load(maximum + b * C + c, in_c, 0.0).to(tl.float32)
    count = tl.zeros([BLOCK_C, BLOCK_H, BLOCK_W], tl.float32)
    for start in range(first, last, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        inside = in_c[:, None, None] & (h < last)[None, :, None] & in_w[None, None, :]
        at = (c * step_c)[:, None, None] + (h * step_h)[None, :, None] + (w * step_w)[None, None, :]
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        count += (inside & (tile == top[:, None, None])).to(tl.float32)
    to = ((part_h * tl.cdiv(W, BLOCK_W) + part_w) * B + b) * C + c
    tl.store(ties + to, tl.sum(tl.sum(count, 2), 1), in_c)


@triton.jit
def pool_backward_kernel(
    x,  # (B, C, H, W)
    maximum,  # (B, C)
    d_rows,  # (B, lines of H)
    d_columns,  # (B, lines of W)
    share,  # (B, C): gradient of the maximum for each element that equals it
    dx,  # as x
    B,
    C,
    H,
    W_units,
    rows,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Compute dx = d_rows / W + d_columns / H + [x is the maximum] · share."""
    W = W_units * UNIT
    b, c, first, w, _, _ = place(B, C, H, W, rows, BLOCK_C, BLOCK_W)
    step_c, step_h, step_w = strides(C, H, W, CHANNELS_LAST)
    x += b * (C * H * W)
    dx += b * (C * H * W)
    in_c, in_w = c < C, w < W
    last = tl.minimum(first + rows, H)
    top = tl.load(maximum + b * C + c, in_c, 0.0).to(tl.float32)
    of_top = tl.load(share + b * C + c, in_c, 0.0).to(tl.float32)
    d_columns += b * (C * W) + along(c, w, C, W, CHANNELS_LAST)
    of_column = tl.load(d_columns, in_c[:, None] & in_w[None, :], 0.0).to(tl.float32) / H
    for start in range(first, last, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        in_h = h < last
        inside = in_c[:, None, None] & in_h[None, :, None] & in_w[None, None, :]
        row = b * (C * H) + along(c, h, C, H, CHANNELS_LAST)
        of_row = tl.load(d_rows + row, in_c[:, None] & in_h[None, :], 0.0).to(tl.float32) / W
        at = (c * step_c)[:, None, None] + (h * step_h)[None, :, None] + (w * step_w)[None, None, :]
        hit = tl.load(x + at, inside, 0.0).to(tl.float32) == top[:, None, None]
        d = of_row[:, :, None] + of_column[:, None, :] + hit.to(tl.float32) * of_top[:, None, None]
        tl.store(dx + at, d, inside)


def plan(shape: Sequence[int], channels_last: bool) -> tuple[tuple[int, int, int], int]:
    """Return the tile of these kernels and its warps; in channels_last a thread has 32 of its elements."""
    tile = maps.row_tile(shape) if channels_last else maps.plane_tile(shape, channels_last)
    return tile, maps.warps(math.prod(tile) // (2 if channels_last else 1))


def pool_parts(x: Tensor, channels_last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `pool` returns for a dense x, with an axis in front: the parts that are to be joined."""
    B, C, H, W = x.shape
    tile, num_warps = plan(x.shape, channels_last)
    rows = maps.rows_per_split(x.shape, tile)
    parts_h, parts_w = maps.blocks(H, rows), maps.blocks(W, tile[2])
    row_sums = maps.lines((parts_w, B), C, H, x, channels_last)
    column_sums = maps.lines((parts_h, B), C, W, x, channels_last)
    maximum = maps.empty((parts_h * parts_w, B, C), x, x.dtype)
    programs = B * maps.blocks(C, tile[0]) * parts_h * parts_w
    size = (B, C, H, W // maps.unit(W), rows, maps.unit(W), channels_last, *tile)
    if programs:
        with maps.device_of(x):
            pool_kernel[(programs,)](x, row_sums, column_sums, maximum, *size, num_warps=num_warps)
    return row_sums, column_sums, maximum


def pool(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the means of rows (B, C, H) and of columns (B, C, W) and the maximum (B, C) of every channel."""
    maps.check(x)
    x, channels_last = maps.lay(x)
    rows, columns, maximum = pool_parts(x, channels_last)
    return (
        rows[0] if len(rows) == 1 else maps.add_up(rows, x.dtype),
        columns[0] if len(columns) == 1 else maps.add_up(columns, x.dtype),
        maximum[0] if len(maximum) == 1 else maximum.amax(0),
    )


def pool_backward(x: Tensor, maximum: Tensor, d_rows: Tensor, d_columns: Tensor, d_maximum: Tensor) -> Tensor:
    """Return the gradient of `pool` with respect to x; `maximum` (B, C) is its third output."""
    B, C, H, W = x.shape
    of_rows, of_columns = (d_rows, (B, C, H)), (d_columns, (B, C, W))
    maps.check(
        x, maximum=(maximum, (B, C)), d_rows=of_rows, d_columns=of_columns, d_maximum=(d_maximum, (B, C))
    )
    x, channels_last = maps.lay(x)
    tile, num_warps = plan(x.shape, channels_last)
    rows = maps.rows_per_split(x.shape, tile)
    parts = maps.blocks(H, rows) * maps.blocks(W, tile[2])
    programs = B * maps.blocks(C, tile[0]) * parts
    size = (B, C, H, W // maps.unit(W), rows, maps.unit(W), channels_last, *tile)
    maximum = maximum.contiguous()
    d_rows, d_columns = maps.lay_lines(d_rows, channels_last), maps.lay_lines(d_columns, channels_last)
    dx = maps.empty(x.shape, x, x.dtype, channels_last)
    if programs:
        ties = maps.empty((parts, B, C), x)
        with maps.device_of(x):
            ties_kernel[(programs,)](x, maximum, ties, *size, num_warps=num_warps)
            share = d_maximum.float() / ties.sum(0)
            pool_backward_kernel[(programs,)](
                x, maximum, d_rows, d_columns, share, dx, *size, num_warps=num_warps
            )
    return dx
