"""Read a stored image: its header, its decoding to uint8, and its placement on a square canvas."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from foveate.data.greys import GreyRange, GreyValues, find_range, scale_to_8_bits, values_of
from foveate.errors import RequestError

__all__ = [
    "MOST_PIXELS",
    "Encoded",
    "Header",
    "UnreadableImageError",
    "broken_images",
    "decode",
    "opened",
    "place",
    "probe",
    "probe_orientation",
    "read_values",
]

Encoded = Path | bytes | np.ndarray
"""An image as its source stores it: a file, a file's bytes, or the uint8 array of an embedded set."""

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that belong to the suffixes of images. By default Pillow reads many more,
whatever the suffix, and starts Ghostscript for one of them."""
LOSSY = frozenset({"JPEG", "JPEG2000", "MPO", "WEBP"})
MOST_PIXELS = 89_478_485
"""Maximum pixels of an image, stored or enlarged; Pillow warns from this number on."""
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
SIXTEEN_BITS_STORED = re.compile(";16[BLN]")
"""In "RGB;16B" and the like; "BGR;16" has 16 bits for all three colours."""
GREY_VALUES = GREY_MODES - {"1", "LA", "La"}
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
ORIENTED = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
"""What Pillow calls the metadata in which it finds an orientation."""


class UnreadableImageError(RequestError):
    """An image that cannot be decoded; the message is only the reason, and the caller adds the file."""


class Header(NamedTuple):
    """What is known of an image before its pixels are read; `mode` is Pillow's.

    A `deep` image has colour, or grey with alpha, of 16 bits, of which Pillow reads the upper 8. `greys` are
    the values of a `wide` or deep image (of a deep one the upper 8 bits), if its pixels were read.
    """

    width: int
    height: int
    mode: str
    alpha: bool
    deep: bool = False
    greys: GreyValues | None = None

    @property
    def short_side(self) -> int:
        """The smaller of width and height, in pixels, which is the same in any orientation."""
        return min(self.width, self.height)

    @property
    def size(self) -> tuple[int, int]:
        """Both sides, (short, long), in pixels."""
        return self.short_side, max(self.width, self.height)

    @property
    def grey(self) -> bool:
        """Whether the image stores brightness and no colour."""
        return self.mode in GREY_MODES

    @property
    def wide(self) -> bool:
        """Whether its greys are whole numbers of more than 8 bits."""
        return self.mode.startswith("I")


@contextmanager
def opened(encoded: Encoded) -> Iterator[Image.Image]:
    """Open an image for the block, with Pillow and its pixels not yet read.

    Raises:
        UnreadableImageError: it cannot be opened, or reading from it within the block failed.
    """
    if isinstance(encoded, bytes) and not encoded:
        raise UnreadableImageError("it is empty")
    try:
        if isinstance(encoded, np.ndarray):
            yield Image.fromarray(encoded)
        else:
            if isinstance(encoded, Path) and encoded.exists() and not encoded.is_file():
                raise UnreadableImageError("it is not a regular file")
            source = BytesIO(encoded) if isinstance(encoded, bytes) else encoded
            with Image.open(source, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UnreadableImageError(_too_large(f"{image.width:,}×{image.height:,} pixels"))
                yield image
    except (UnreadableImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        empty = isinstance(encoded, Path) and encoded.stat().st_size == 0
        raise UnreadableImageError(
            "it is empty" if empty else "it is not an image of a known format"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(_too_large("too many pixels")) from error
    except Exception as error:  # codecs raise nearly every type of error on damaged bytes
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _too_large(found: str) -> str:
    return f"it has {found}, and the maximum is {MOST_PIXELS:,}: make it smaller or cut it up"


def _header(image: Image.Image) -> Header:
    alpha = image.mode in ALPHA_MODES or "transparency" in image.info
    header = Header(*image.size, image.mode, alpha)
    # Pillow keeps the storage format of the pixels among the arguments of the decoder.
    stored = str([tile[3] for tile in getattr(image, "tile", ())])
    return header._replace(deep=not header.wide and SIXTEEN_BITS_STORED.search(stored) is not None)


def probe(encoded: Encoded) -> Header:
    """Read the header of an image without its pixels.

    Raises:
        UnreadableImageError: the header cannot be read.
    """
    with opened(encoded) as image:
        return _header(image)


def probe_orientation(encoded: Encoded) -> tuple[Header, int]:
    """Read the header of an image and its EXIF orientation, 1 (upright) to 8; 5 to 8 lie on their sides.

    The header has width and height as they are stored; `decode` turns the image upright.

    Raises:
        UnreadableImageError: the header cannot be read.
    """
    with opened(encoded) as image:
        # Pillow would read the pixels of a PNG without such metadata, and turns a TIFF when it opens it.
        has = image.format != "TIFF" and ORIENTED & image.info.keys()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if has else 1
        return _header(image), orientation if orientation in range(1, 9) else 1


def decode(encoded: Encoded, greys: GreyRange | Literal["own"] | None = "own") -> tuple[np.ndarray, Header]:
    """Decode an image to uint8, (H, W) if it is grey and (H, W, 3) RGB if not, and return its header too.

    EXIF orientation is applied, alpha is composited over white, and palettes, CMYK and others become RGB.
    Integer greys of more than 8 bits are scaled from `greys`, the range of the set that the image belongs to;
    "own" takes the range of this image, None refuses such an image. Floats are scaled from 0..1.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated, corrupt, no image or too large, or has
            values outside of `greys`.
    """
    with opened(encoded) as image:
        header = _header(image)
        ImageOps.exif_transpose(image, in_place=True)
        if header.mode == "F":
            return _scale_floats(np.asarray(image)), header
        if header.wide:
            return _scale_wide(np.asarray(image), header, greys)
        if header.alpha:
            pixels = _over_white(np.asarray(image.convert("LA" if header.grey else "RGBA")))
        else:
            pixels = np.asarray(image.convert("L" if header.grey else "RGB"))
        return pixels, header._replace(greys=values_of(pixels)) if header.deep else header


def read_values(path: Path) -> tuple[np.ndarray, bool]:
    """Read the unscaled values (H, W) of a mask, and whether its format may have changed them, as JPEG does.

    EXIF orientation is applied. A palette of greys gives the greys, a palette of colours gives the palette
    indices; colour images without a palette, and images with alpha, give their luminance.

    Raises:
        UnreadableImageError: see `decode`.
    """
    with opened(path) as image:
        lossy = image.format in LOSSY
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "P":
            numbers = np.asarray(image)
            palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
            used = palette[np.unique(numbers[numbers < len(palette)])]
            return (np.asarray(image.convert("L")) if (used == used[:, :1]).all() else numbers), lossy
        return np.asarray(image if image.mode in GREY_VALUES else image.convert("L")), lossy


def _scale_wide(
    pixels: np.ndarray, header: Header, greys: GreyRange | Literal["own"] | None
) -> tuple[np.ndarray, Header]:
    values = values_of(pixels)
    if greys is None:
        raise UnreadableImageError(
            "it has greys of more than 8 bits, and the range of values of its set is unknown: save it with 8 "
            "bits. For a set that is too large for memory, --skip-broken reads all images first"
        )
    scale = find_range([values]) if greys == "own" else greys
    assert scale is not None
    if values.low < scale.low or values.high > scale.high:
        raise UnreadableImageError(
            f"its values are {values.low:,} to {values.high:,}, beyond the range of its set, {scale.low:,} "
            f"to {scale.high:,}: save it with as many bits as the other images"
        )
    return scale_to_8_bits(pixels, scale), header._replace(greys=values)


def _scale_floats(pixels: np.ndarray) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    if not 0 <= low <= high <= 1:
        raise UnreadableImageError(
            f"its pixels are floats from {low:g} to {high:g}: save it with 8 or 16 bits, or with floats from "
            "0 to 1"
        )
    return np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """Composite (H, W, 2) grey or (H, W, 4) colour with alpha over white, rounded to the nearest integer."""
    colour, alpha = pixels[..., :-1].astype(np.int32), pixels[..., -1:].astype(np.int32)
    opaque = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return opaque[..., 0] if opaque.shape[-1] == 1 else opaque


def place(pixels: np.ndarray, channels: int, side: int) -> np.ndarray:
    """Resize and crop decoded pixels, (H, W) or (H, W, 3), to the canvas: uint8 (channels, side, side).

    The short side is resized to `side` (bilinear, antialiased), then the middle is cut out. A strip that
    would then have more than `MOST_PIXELS` is cropped first.
    """
    image = _without_ends(Image.fromarray(pixels), side)
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


def _without_ends(image: Image.Image, side: int) -> Image.Image:
    short, long = sorted(image.size)
    if side * side * long <= MOST_PIXELS * short:
        return image
    kept = min(3 * short, long)
    left, top = ((length - min(kept, length)) // 2 for length in image.size)
    return image.crop((left, top, left + min(kept, image.width), top + min(kept, image.height)))


def broken_images(found: Sequence[tuple[str, UnreadableImageError]]) -> RequestError:
    """Return the error that names the first ten broken images with their reasons, and what to do."""
    shown = "".join(f"\n  {where}: {reason}" for where, reason in found[:10])
    more = f"\n  and {len(found) - 10:,} more" if len(found) > 10 else ""
    return RequestError(
        f"{len(found):,} broken image{'s' if len(found) > 1 else ''}:{shown}{more}\n"
        "Repair or delete them, or skip them with --skip-broken"
    )
