"""Which image and which of its channels or pixels a program has, from its number."""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import triton
import triton.language as tl

__all__ = ["block_of", "channels_of", "pixels_of"]


@triton.jit
def block_of(n, BLOCK: tl.constexpr):
    """Return the image, and the indices of one of the blocks that cover n of it."""
    blocks = tl.cdiv(n, BLOCK)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    return b, (tl.program_id(0) % blocks) * BLOCK + tl.arange(0, BLOCK)


@triton.jit
def pixels_of(N, pixels):
    """Return the image, and the first and the end of the `pixels` of its N that a program walks."""
    parts = tl.cdiv(N, pixels)
    b = (tl.program_id(0) // parts).to(tl.int64)
    first = (tl.program_id(0) % parts) * pixels
    return b, first, tl.minimum(first + pixels, N)


@triton.jit
def channels_of(C, N, pixels, BLOCK_C: tl.constexpr):
    """Return the image, a block of its channels, and the number of the part of its pixels."""
    blocks_c, parts = tl.cdiv(C, BLOCK_C), tl.cdiv(N, pixels)
    c = (tl.program_id(0) % blocks_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    part = (tl.program_id(0) // blocks_c) % parts
    b = (tl.program_id(0) // (blocks_c * parts)).to(tl.int64)
    return b, c, part
