"""The memory layout of a feature map, how it is cut into tiles, and what the Triton kernels cannot take.

A kernel derives the strides of x (B, C, H, W) from one flag, `channels_last`, and works on tiles of
(channels, rows, columns) or (channels, pixels) whose longest side is contiguous in memory.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from foveate.errors import RequestError

__all__ = [
    "FEW",
    "add_up",
    "blocks",
    "by_pixel",
    "check",
    "device_of",
    "empty",
    "flat_tile",
    "lay",
    "lay_as",
    "lay_lines",
    "lines",
    "pixels_of_program",
    "pixels_per_part",
    "plane_tile",
    "power",
    "row_tile",
    "rows_per_split",
    "sizes",
    "unit",
    "walk_tile",
    "warps",
]

FEW = 264
"""Two programs for each of the 132 multiprocessors of an H100 or H200: fewer leave some of them idle."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def empty(
    shape: Sequence[int], like: Tensor, dtype: torch.dtype = torch.float32, channels_last: bool = False
) -> Tensor:
    """Allocate memory that a kernel writes; all outputs and all scratch memory come from here."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=layout)


def sizes(x: Tensor) -> tuple[int, int, int, int]:
    """Return B, C, H and W of a map."""
    if x.dim() != 4:
        raise RequestError(f"the Triton kernels take x of shape (B, C, H, W), not {tuple(x.shape)}")
    B, C, H, W = x.shape
    return B, C, H, W


def check(x: Tensor, **others: tuple[Tensor | None, Sequence[int]]) -> None:
    """Raise RequestError for a dtype, size, shape or device that the kernels cannot take.

    `others` are further tensors, each with the shape that it must have.
    """
    sizes(x)
    if math.prod(x.shape[1:]) >= 2**31 or x.shape[0] >= 2**31:
        raise RequestError(
            f"an image of x {tuple(x.shape)} has 2³¹ elements or more (or x as many images), beyond the "
            "offsets of the Triton kernels: split it, or take the reference"
        )
    if 0 in x.shape[1:]:
        raise RequestError(
            f"an image of x {tuple(x.shape)} is empty: it needs at least one channel, row and column"
        )
    for name, (given, shape) in {"x": (x, x.shape), **others}.items():
        if given is None:
            continue
        if given.dtype not in DTYPES:
            raise RequestError(
                f"the Triton kernels take float32, bfloat16 or float16, and {name} is {given.dtype}: "
                "convert it, or take the reference"
            )
        if given.device != x.device:
            raise RequestError(f"x is on {x.device} and {name} on {given.device}: move them to one device")
        if given.shape != tuple(shape):
            raise RequestError(
                f"{name} is {tuple(given.shape)}; with x {tuple(x.shape)} it must be {tuple(shape)}"
            )


def device_of(x: Tensor) -> AbstractContextManager:
    """Make the device of x the current one for a launch."""
    return torch.cuda.device_of(x)


def lay(x: Tensor) -> tuple[Tensor, bool]:
    """Return x dense, and whether it is channels_last; x is copied only if it is in neither layout."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    if last and (not x.is_contiguous() or x.shape[2] * x.shape[3] == 1):
        return x, True
    return x.contiguous(), False


def lay_as(x: Tensor, channels_last: bool) -> Tensor:
    """Return x in the layout of the map that it belongs to."""
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def lines(
    parts: Sequence[int], C: int, L: int, x: Tensor, channels_last: bool, dtype: torch.dtype | None = None
) -> Tensor:
    """Allocate (*parts, C, L) with the layout of x, in its dtype if there is one part, else in float32."""
    dtype = dtype or (x.dtype if parts[0] == 1 else torch.float32)
    if not channels_last:
        return empty((*parts, C, L), x, dtype)
    return empty((*parts, L, C), x, dtype).transpose(-1, -2)


def lay_lines(given: Tensor, channels_last: bool) -> Tensor:
    """Return (B, C, L) in the layout of the map that it belongs to."""
    return given.transpose(1, 2).contiguous().transpose(1, 2) if channels_last else given.contiguous()


def add_up(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the sum over the first axis."""
    return parts.sum(0, dtype=torch.float32).to(dtype)


def power(n: int) -> int:
    """Return the least power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


def unit(n: int) -> int:
    """Return the largest power of two up to 16 that divides n, the elements that one load may take."""
    return math.gcd(n, 16)


def blocks(n: int, block: int) -> int:
    """Return the number of blocks that cover n."""
    return -(-n // block)


def by_pixel(shape: Sequence[int], channels_last: bool) -> bool:
    """Return whether a kernel takes a map pixel by pixel: a warp then has at least 128 channels of each."""
    return channels_last and 128 <= shape[1] <= 4096


def pixels_of_program(shape: Sequence[int], channels: int, least: int = 2) -> tuple[int, int]:
    """Return the pixels that a program of such a kernel walks, and its warps, one for `channels` channels.

    There are at least `least` pixels, for which the weights are read once, and at most 64, so that the last
    programs to end do not leave the GPU idle for long.
    """
    B, C, H, W = shape
    num_warps = min(max(power(C) // channels, 1), 16)
    return min(max(B * H * W * num_warps // (16 * FEW), least), 64), num_warps


def warps(elements: int) -> int:
    """Return the number of warps, 1 to 16, that gives each thread 16 elements of a tile."""
    return min(max(power(elements) // 512, 1), 16)


def plane_tile(
    shape: Sequence[int], channels_last: bool, channels: int | None = None, elements: int = 4096
) -> tuple[int, int, int]:
    """Return the tile (channels, rows, columns) for (B, C, H, W), smaller where there would be few tiles."""
    B, C, H, W = shape
    if channels_last or channels:
        block_c = min(power(C), channels or 64)
        block_w = min(power(W), max(elements // block_c, 1))
        block_h = min(power(H), max(elements // (block_c * block_w), 1))
        least = 32 if channels_last else 16
    else:
        block_w = min(power(W), 256)
        block_h = min(power(H), 1024 // block_w)
        block_c = min(power(C), max(elements // (block_w * block_h), 1))
        least = 1
    while block_c > least and B * blocks(C, block_c) * blocks(W, block_w) < FEW:
        block_c //= 2
    return block_c, block_h, block_w


def row_tile(shape: Sequence[int], elements: int = 1024) -> tuple[int, int, int]:
    """Return the tile (channels, 1, columns) of a map in channels_last for sums over rows.

    Most of the sums then stay within a thread: a warp has all columns of at least 8 adjacent channels.
    """
    B, C, _, W = shape
    block_w = min(power(W), 64)
    block_c = min(power(C), elements // block_w)
    while block_c > 8 and B * blocks(C, block_c) * blocks(W, block_w) < FEW:
        block_c //= 2
    return block_c, 1, block_w


def rows_per_split(shape: Sequence[int], tile: tuple[int, int, int]) -> int:
    """Return the rows that a program walks: all, or one of up to 16 parts where channels are few."""
    B, C, H, W = shape
    block_c, block_h, block_w = tile
    programs = max(B * blocks(C, block_c) * blocks(W, block_w), 1)
    parts = min(blocks(FEW, programs), blocks(H, block_h), 16)
    return blocks(blocks(H, parts), block_h) * block_h


def flat_tile(
    shape: Sequence[int], channels_last: bool, channels: int, elements: int = 4096
) -> tuple[int, int]:
    """Return the tile (at most `channels`, pixels) for (B, C, H·W), smaller where tiles would be few."""
    B, C, H, W = shape
    block_c = min(power(C), channels)
    block_p = min(power(H * W), max(elements // block_c, 1))
    least = 1
    if not channels_last:
        # Pixels are adjacent in memory: at least 32 bytes of them, unless there are fewer.
        least, block_p = 8, min(power(H * W), max(block_p, 16))
        block_c = min(block_c, max(2 * elements // block_p, 1))
    while block_p > least and B * blocks(H * W, block_p) < FEW:
        block_p //= 2
    return block_c, block_p


def walk_tile(shape: Sequence[int], channels_last: bool, elements: int = 4096) -> tuple[int, int]:
    """Return the tile (channels, pixels) for programs that keep their channels and walk over the pixels."""
    _, C, H, W = shape
    block_c = min(power(C), 64 if channels_last else 32)
    return block_c, min(power(H * W), elements // block_c)


def pixels_per_part(shape: Sequence[int], block_c: int, block_p: int) -> int:
    """Return the pixels that a program walks: all, or one of up to 64 parts where channels are few."""
    B, C, H, W = shape
    parts = min(blocks(FEW, max(B * blocks(C, block_c), 1)), blocks(H * W, block_p), 64)
    return blocks(blocks(H * W, parts), block_p) * block_p
