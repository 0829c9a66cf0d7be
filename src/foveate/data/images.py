"""One stored image to pixels: its header, its decoding to uint8, and its place on a square canvas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foveate.errors import RequestError

__all__ = ["Encoded", "Header", "UnreadableImageError", "broken_images", "decode", "place", "probe"]

Encoded = Path | bytes | np.ndarray
"""An image as its source stores it: a file, a file's bytes, or the uint8 array of an embedded set."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


class UnreadableImageError(RequestError):
    """An image that cannot be decoded; the message is the reason alone, whoever knows the file adds it."""


class Header(NamedTuple):
    """What an image says of itself before its pixels are read; `mode` is Pillow's."""

    width: int
    height: int
    mode: str
    alpha: bool

    @property
    def short_side(self) -> int:
        """The smaller of width and height, in pixels: the same whichever way the image is turned."""
        return min(self.width, self.height)

    @property
    def size(self) -> tuple[int, int]:
        """Both sides, (short, long), in pixels."""
        return self.short_side, max(self.width, self.height)

    @property
    def grey(self) -> bool:
        """Whether the image stores one brightness a pixel and no colour."""
        return self.mode in GREY_MODES


@contextmanager
def _opened(encoded: Encoded) -> Iterator[Image.Image]:
    if isinstance(encoded, bytes) and not encoded:
        raise UnreadableImageError("it is empty")
    try:
        if isinstance(encoded, np.ndarray):
            yield Image.fromarray(encoded)
        else:
            with Image.open(BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as image:
                yield image
    except (UnreadableImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        empty = isinstance(encoded, Path) and encoded.stat().st_size == 0
        raise UnreadableImageError(
            "it is empty" if empty else "it is not an image of a known format"
        ) from error
    except Exception as error:  # damaged bytes make codecs raise nearly every type there is
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _header(image: Image.Image) -> Header:
    return Header(*image.size, image.mode, image.mode in ALPHA_MODES or "transparency" in image.info)


def probe(encoded: Encoded) -> Header:
    """Read the header of an image without its pixels.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _opened(encoded) as image:
        return _header(image)


def decode(encoded: Encoded) -> tuple[np.ndarray, Header]:
    """Decode an image to uint8, (H, W) if it is grey and (H, W, 3) RGB if not, and give its header too.

    EXIF orientation is applied, alpha composited over white, palettes, CMYK and the rest become RGB.
    Integer greys wider than 8 bits are scaled from their full range (see `_scale_to_8_bits`).

    Raises:
        UnreadableImageError: the file is missing, empty, truncated, corrupt, no image, or unreasonably large.
    """
    with _opened(encoded) as image:
        header = _header(image)
        ImageOps.exif_transpose(image, in_place=True)
        if header.mode == "F":
            raise UnreadableImageError(
                "its pixels are floats, which have no fixed range: save it with 8 or 16 bits"
            )
        if header.mode.startswith("I"):
            return _scale_to_8_bits(np.asarray(image)), header
        if header.alpha:
            return _over_white(np.asarray(image.convert("LA" if header.grey else "RGBA"))), header
        return np.asarray(image.convert("L" if header.grey else "RGB")), header


def _scale_to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale integer greys to 0..255: from 65535, or from 2³¹ - 1 if any pixel is beyond 16 bits.

    Pillow gives both 16-bit PNGs (before its version 11.3) and 32-bit TIFFs the same 32-bit mode, so that
    only the values can tell them apart.
    """
    wide = np.clip(pixels.astype(np.int64), 0, None)
    full = 65535 if wide.max() <= 65535 else 2**31 - 1
    return ((wide * 255 + full // 2) // full).astype(np.uint8)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """Composite (H, W, 2) grey or (H, W, 4) colour with alpha over white, rounded to the nearest integer."""
    colour, alpha = pixels[..., :-1].astype(np.int32), pixels[..., -1:].astype(np.int32)
    opaque = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return opaque[..., 0] if opaque.shape[-1] == 1 else opaque


def place(pixels: np.ndarray, channels: int, side: int) -> np.ndarray:
    """Bring decoded pixels, (H, W) or (H, W, 3), onto the canvas: uint8 (channels, side, side).

    The short side is resized to `side` (bilinear, antialiased), then the middle is cut out.
    """
    image = Image.fromarray(pixels)
    if channels == 1:
        image = image.convert("L")
    short = min(image.size)
    if short != side:
        width, height = (max(side, round(length * side / short)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = np.asarray(image)[top : top + side, left : left + side]
    planes = square[None] if square.ndim == 2 else square.transpose(2, 0, 1)
    return np.broadcast_to(planes, (channels, side, side))


def broken_images(found: Sequence[tuple[str, UnreadableImageError]]) -> RequestError:
    """The error that names broken images, the first ten of them with their reasons, and the ways out."""
    shown = "".join(f"\n  {where}: {reason}" for where, reason in found[:10])
    more = f"\n  and {len(found) - 10:,} more" if len(found) > 10 else ""
    return RequestError(
        f"{len(found):,} broken image{'s' if len(found) > 1 else ''}:{shown}{more}\n"
        "Repair or delete what is broken, or leave it out with --skip-broken"
    )
