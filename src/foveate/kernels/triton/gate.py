"""The gate in Triton: x ⊙ factors of channels, rows, columns and positions; every gradient in one read."""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from foveate.kernels.triton import map as maps
from foveate.kernels.triton.pool import along, place, strides

__all__ = ["gate", "gate_backward"]


@triton.jit
def load_factors(
    channels, rows, columns, positions, b, c, h, w, C, H, W, CHANNELS_LAST: tl.constexpr,
    HAS_CHANNELS: tl.constexpr, HAS_ROWS: tl.constexpr,
    HAS_COLUMNS: tl.constexpr, HAS_POSITIONS: tl.constexpr,
):  # fmt: skip
    """Load the four factors of a tile (c, h, w), with axes of length 1 where constant; 1 if absent."""
    of_channel = tl.full([1, 1, 1], 1.0, tl.float32)
    of_row, of_column, of_position = of_channel, of_channel, of_channel
    in_c, in_h, in_w = c < C, h < H, w < W
    if HAS_CHANNELS:
        of_channel = tl.load(channels + b * C + c, in_c, 0.0).to(tl.float32)[:, None, None]
    if HAS_ROWS:
        at = b * (C * H) + along(c, h, C, H, CHANNELS_LAST)
        of_row = tl.load(rows + at, in_c[:, None] & in_h[None, :], 0.0).to(tl.float32)[:, :, None]
    if HAS_COLUMNS:
        at = b * (C * W) + along(c, w, C, W, CHANNELS_LAST)
        of_column = tl.load(columns + at, in_c[:, None] & in_w[None, :], 0.0).to(tl.float32)[:, None, :]
    if HAS_POSITIONS:
        at = b * (H * W) + h[:, None] * W + w[None, :]
        of_position = tl.load(positions + at, in_h[:, None] & in_w[None, :], 0.0).to(tl.float32)[None, :, :]
    return of_channel, of_row, of_column, of_position


@triton.jit
def gate_kernel(
    x,  # (B, C, H, W)
    channels,  # (B, C)
    rows,  # (B, lines of H)
    columns,  # (B, lines of W)
    positions,  # (B, H, W)
    y,  # as x
    B,
    C,
    H,
    W_units,  # W / UNIT
    walked,  # rows that a program walks
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    HAS_CHANNELS: tl.constexpr,
    HAS_ROWS: tl.constexpr,
    HAS_COLUMNS: tl.constexpr,
    HAS_POSITIONS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Compute y = x ⊙ channels ⊙ rows ⊙ columns ⊙ positions."""
    W = W_units * UNIT
    b, c, first, w, _, _ = place(B, C, H, W, walked, BLOCK_C, BLOCK_W)
    step_c, step_h, step_w = strides(C, H, W, CHANNELS_LAST)
    x += b * (C * H * W)
    y += b * (C * H * W)
    last = tl.minimum(first + walked, H)
    for start in range(first, last, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        inside = (c < C)[:, None, None] & (h < last)[None, :, None] & (w < W)[None, None, :]
        at = (c * step_c)[:, None, None] + (h * step_h)[None, :, None] + (w * step_w)[None, None, :]
        tile = tl.load(x + at, inside, 0.0).to(tl.float32)
        of_channel, of_row, of_column, of_position = load_factors(
            channels, rows, columns, positions, b, c, h, w, C, H, W, CHANNELS_LAST,
            HAS_CHANNELS, HAS_ROWS, HAS_COLUMNS, HAS_POSITIONS,
        )  # fmt: skip
        tl.store(y + at, tile * of_channel * of_row * of_column * of_position, inside)


@triton.jit
def gate_backward_kernel(
    x,  # (B, C, H, W)
    channels,  # (B, C)
    rows,  # (B, lines of H)
    columns,  # (B, lines of W)
    positions,  # (B, H, W)
    dy,  # as x
    dx,  # as x
    d_channels,  # (parts of H, parts of W, B, C)
    d_rows,  # (parts of W, B, lines of H)
    d_columns,  # (parts of H, B, lines of W)
    d_positions,  # (blocks of C, B, H, W)
    B,
    C,
    H,
    W_units,
    walked,
    UNIT: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    HAS_CHANNELS: tl.constexpr,
    HAS_ROWS: tl.constexpr,
    HAS_COLUMNS: tl.constexpr,
    HAS_POSITIONS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Compute dx = dy ⊙ all factors, and each factor's gradient, a sum of dy ⊙ x ⊙ the other factors."""
    W = W_units * UNIT
    b, c, first, w, part_h, part_w = place(B, C, H, W, walked, BLOCK_C, BLOCK_W)
    step_c, step_h, step_w = strides(C, H, W, CHANNELS_LAST)
    in_c, in_w = c < C, w < W
    last = tl.minimum(first + walked, H)
    of_all_rows = tl.zeros([BLOCK_C, BLOCK_H, BLOCK_W], tl.float32)
    of_all = tl.zeros([BLOCK_C, BLOCK_H, BLOCK_W], tl.float32)
    for start in range(first, last, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        in_h = h < last
        inside = in_c[:, None, None] & in_h[None, :, None] & in_w[None, None, :]
        at = (c * step_c)[:, None, None] + (h * step_h)[None, :, None] + (w * step_w)[None, None, :]
        tile = tl.load(x + b * (C * H * W) + at, inside, 0.0).to(tl.float32)
        d = tl.load(dy + b * (C * H * W) + at, inside, 0.0).to(tl.float32)
        of_channel, of_row, of_column, of_position = load_factors(
            channels, rows, columns, positions, b, c, h, w, C, H, W, CHANNELS_LAST,
            HAS_CHANNELS, HAS_ROWS, HAS_COLUMNS, HAS_POSITIONS,
        )  # fmt: skip
        tl.store(dx + b * (C * H * W) + at, d * of_channel * of_row * of_column * of_position, inside)
        d *= tile
        if HAS_CHANNELS:
            of_all += tl.where(inside, d * of_row * of_column * of_position, 0.0)
        if HAS_ROWS:
            to = (part_w * B + b) * (C * H) + along(c, h, C, H, CHANNELS_LAST)
            of_row_alone = tl.where(inside, d * of_channel * of_column * of_position, 0.0)
            tl.store(d_rows + to, tl.sum(of_row_alone, 2), in_c[:, None] & in_h[None, :])
        if HAS_COLUMNS:
            of_all_rows += tl.where(inside, d * of_channel * of_row * of_position, 0.0)
        if HAS_POSITIONS:
            to = ((tl.min(c, 0) // BLOCK_C) * B + b) * (H * W) + h[:, None] * W + w[None, :]
            of_place = tl.where(inside, d * of_channel * of_row * of_column, 0.0)
            tl.store(d_positions + to, tl.sum(of_place, 0), in_h[:, None] & in_w[None, :])
    if HAS_CHANNELS:
        to = ((part_h * tl.cdiv(W, BLOCK_W) + part_w) * B + b) * C + c
        tl.store(d_channels + to, tl.sum(tl.sum(of_all, 2), 1), in_c)
    if HAS_COLUMNS:
        to = (part_h * B + b) * (C * W) + along(c, w, C, W, CHANNELS_LAST)
        tl.store(d_columns + to, tl.sum(of_all_rows, 1), in_c[:, None] & in_w[None, :])


def check(x: Tensor, factors: Sequence[Tensor | None], **others: tuple[Tensor, Sequence[int]]) -> None:
    """Raise RequestError for factors that the kernels cannot take."""
    B, C, H, W = maps.sizes(x)
    shapes = {"channels": (B, C), "rows": (B, C, H), "columns": (B, C, W), "positions": (B, 1, H, W)}
    given = {name: (factor, shape) for (name, shape), factor in zip(shapes.items(), factors, strict=True)}
    maps.check(x, **given, **others)


def arranged(x: Tensor, factors: Sequence[Tensor | None], channels_last: bool) -> list[Tensor]:
    """Return the factors as the kernels read them, and x in place of those that are absent."""
    return [
        x
        if factor is None
        else maps.lay_lines(factor, channels_last)
        if factor.dim() == 3
        else factor.contiguous()
        for factor in factors
    ]


def gate(
    x: Tensor,
    channels: Tensor | None = None,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """Return x ⊙ channels ⊙ rows ⊙ columns ⊙ positions: see `reference.gate`."""
    factors = (channels, rows, columns, positions)
    check(x, factors)
    x, channels_last = maps.lay(x)
    B, C, H, W = x.shape
    tile = maps.plane_tile(x.shape, channels_last)
    y = maps.empty(x.shape, x, x.dtype, channels_last)
    programs = B * maps.blocks(C, tile[0]) * maps.blocks(H, tile[1]) * maps.blocks(W, tile[2])
    if programs:
        unit, has = maps.unit(W), [factor is not None for factor in factors]
        with maps.device_of(x):
            gate_kernel[(programs,)](
                x, *arranged(x, factors, channels_last), y,
                B, C, H, W // unit, tile[1], unit, channels_last, *has, *tile,
                num_warps=maps.warps(math.prod(tile)),
            )  # fmt: skip
    return y


def gate_backward(
    x: Tensor,
    channels: Tensor | None,
    rows: Tensor | None,
    columns: Tensor | None,
    positions: Tensor | None,
    dy: Tensor,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of `gate` with respect to its arguments, None for those that are None."""
    factors = (channels, rows, columns, positions)
    check(x, factors, dy=(dy, x.shape))
    x, channels_last = maps.lay(x)
    dy = maps.lay_as(dy, channels_last)
    B, C, H, W = x.shape
    # torch sums the gradient of positions over blocks of channels; large blocks make these few.
    tile = maps.plane_tile(x.shape, channels_last, None if positions is None else 64, 2048)
    walked = maps.rows_per_split(x.shape, tile)
    parts_h, parts_w, blocks_c = maps.blocks(H, walked), maps.blocks(W, tile[2]), maps.blocks(C, tile[0])
    dx = maps.empty(x.shape, x, x.dtype, channels_last)
    partial = [
        None if channels is None else maps.empty((parts_h * parts_w, B, C), x),
        None if rows is None else maps.lines((parts_w, B), C, H, x, channels_last, torch.float32),
        None if columns is None else maps.lines((parts_h, B), C, W, x, channels_last, torch.float32),
        None if positions is None else maps.empty((blocks_c, B, 1, H, W), x),
    ]
    programs = B * blocks_c * parts_h * parts_w
    if programs:
        unit, has = maps.unit(W), [factor is not None for factor in factors]
        with maps.device_of(x):
            gate_backward_kernel[(programs,)](
                x, *arranged(x, factors, channels_last), dy, dx,
                *(x if d is None else d for d in partial),
                B, C, H, W // unit, walked, unit, channels_last, *has, *tile,
                num_warps=maps.warps(math.prod(tile)),
            )  # fmt: skip
    sums = (
        None if factor is None or d is None else d.sum(0).to(factor.dtype)
        for factor, d in zip(factors, partial, strict=True)
    )
    return dx, *sums
