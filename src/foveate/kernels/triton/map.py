"""How a feature map lies in memory, how it is cut into tiles, and what the Triton kernels refuse.

A kernel addresses x (B, C, H, W) by strides it derives from one flag, `channels_last`, and works on tiles of
(channels, rows, columns) or (channels, pixels) whose longest side runs along memory.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from foveate.errors import RequestError

__all__ = [
    "FEW",
    "blocks",
    "check",
    "device_of",
    "empty",
    "flat_tile",
    "lay",
    "lay_as",
    "pixels_per_part",
    "plane_tile",
    "power",
    "rows_per_split",
    "sizes",
    "unit",
    "walk_tile",
    "warps",
]

FEW = (
    264  # two programs for each of the 132 multiprocessors of an H100 or H200: fewer leave some of them idle
)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def empty(
    shape: Sequence[int], like: Tensor, dtype: torch.dtype = torch.float32, channels_last: bool = False
) -> Tensor:
    """Allocate what a kernel writes: every output and all scratch memory comes from here."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=layout)


def sizes(x: Tensor) -> tuple[int, int, int, int]:
    """Give B, C, H and W of a map."""
    if x.dim() != 4:
        raise RequestError(f"the Triton kernels take x of shape (B, C, H, W), not {tuple(x.shape)}")
    B, C, H, W = x.shape
    return B, C, H, W


def check(x: Tensor, **others: tuple[Tensor | None, Sequence[int]]) -> None:
    """Refuse a dtype, size, shape or device that the kernels cannot take; `others` come with their shapes."""
    sizes(x)
    if math.prod(x.shape[1:]) >= 2**31 or x.shape[0] >= 2**31:
        raise RequestError(
            f"an image of x {tuple(x.shape)} has 2³¹ elements or more (or x as many images), beyond the "
            "offsets of the Triton kernels: cut it, or take the reference"
        )
    if 0 in x.shape[1:]:
        raise RequestError(f"an image of x {tuple(x.shape)} is empty: give it a channel, a row and a column")
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
    """Launch on the device of x, which need not be the current one."""
    return torch.cuda.device_of(x)


def lay(x: Tensor) -> tuple[Tensor, bool]:
    """Give x dense, and whether its channels lie side by side; a copy only where x is in neither layout."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    if last and (not x.is_contiguous() or x.shape[2] * x.shape[3] == 1):
        return x, True
    return x.contiguous(), False


def lay_as(x: Tensor, channels_last: bool) -> Tensor:
    """Give x in the layout of the map that it goes with."""
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def power(n: int) -> int:
    """The least power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


def unit(n: int) -> int:
    """The power of two up to 16 that divides n: the compiler may then load as many elements at once."""
    return math.gcd(n, 16)


def blocks(n: int, block: int) -> int:
    """How many blocks cover n."""
    return -(-n // block)


def warps(elements: int) -> int:
    """16 elements of a tile for each thread, in 1 to 16 warps."""
    return min(max(power(elements) // 512, 1), 16)


def plane_tile(
    shape: Sequence[int], channels_last: bool, channels: int | None = None, elements: int = 4096
) -> tuple[int, int, int]:
    """Cut (B, C, H, W) into tiles of (channels, rows, columns); smaller ones where few would be had."""
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


def rows_per_split(shape: Sequence[int], tile: tuple[int, int, int]) -> int:
    """How many rows a program walks: all H, or the H of up to 16 parts where the channels alone give few."""
    B, C, H, W = shape
    block_c, block_h, block_w = tile
    programs = max(B * blocks(C, block_c) * blocks(W, block_w), 1)
    parts = min(blocks(FEW, programs), blocks(H, block_h), 16)
    return blocks(blocks(H, parts), block_h) * block_h


def flat_tile(
    shape: Sequence[int], channels_last: bool, channels: int, elements: int = 4096
) -> tuple[int, int]:
    """Cut (B, C, H·W) into tiles of (at most `channels`, pixels); fewer pixels where few would be had."""
    B, C, H, W = shape
    block_c = min(power(C), channels)
    block_p = min(power(H * W), max(elements // block_c, 1))
    least = 1
    if not channels_last:
        # Pixels are what lies side by side: at least 32 bytes of them, unless there are fewer.
        least, block_p = 8, min(power(H * W), max(block_p, 16))
        block_c = min(block_c, max(2 * elements // block_p, 1))
    while block_p > least and B * blocks(H * W, block_p) < FEW:
        block_p //= 2
    return block_c, block_p


def walk_tile(shape: Sequence[int], channels_last: bool, elements: int = 4096) -> tuple[int, int]:
    """Cut (B, C, H·W) into tiles (channels, pixels) for programs that keep their channels and walk."""
    _, C, H, W = shape
    block_c = min(power(C), 64 if channels_last else 32)
    return block_c, min(power(H * W), elements // block_c)


def pixels_per_part(shape: Sequence[int], block_c: int, block_p: int) -> int:
    """How many pixels a program walks: all, or those of up to 64 parts where the channels alone give few."""
    B, C, H, W = shape
    parts = min(blocks(FEW, max(B * blocks(C, block_c), 1)), blocks(H * W, block_p), 64)
    return blocks(blocks(H * W, parts), block_p) * block_p
