"""Decode the file of one mask to the value of each pixel, and refuse what is no mask."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from foveate.data.images import ALPHA_MODES, GREY_MODES, LOSSY, UnreadableImageError, opened
from foveate.errors import RequestError

__all__ = ["mask_values", "other_size", "shown_size"]

ORIENTATION = 0x0112
"""The tag of EXIF that says how an image is turned; 5 to 8 swap its width and height."""
AS_PNG = "save it as a PNG with one byte a pixel"


def mask_values(path: Path) -> np.ndarray:
    """Decode a mask to the value of each pixel, uint8 (H, W).

    One byte a pixel gives the bytes, a palette gives the indices, one bit a pixel gives 0 and 1. EXIF
    orientation is applied, as it is to images.

    Raises:
        UnreadableImageError: the file cannot be read, or is no mask: it has colours, alpha, more than 8 bits
            a pixel, values that programs scale or renumber, or a lossy compression. The message is only the
            reason.
    """
    with opened(path) as image:
        if image.format in LOSSY or image.info.get("compression") == "jpeg":
            raise UnreadableImageError(
                f"it is a {image.format} file, whose compression changes the values of pixels: draw it "
                f"again, and {AS_PNG}"
            )
        if image.format == "GIF":
            raise UnreadableImageError(
                f"it is a GIF, and programs renumber the values of pixels when they write one: {AS_PNG}"
            )
        if image.mode not in ("1", "L", "P"):
            raise UnreadableImageError(_no_mask(image))
        if isinstance(image, ImageFile.ImageFile) and image.mode == "L":
            _refuse_scaled(image)
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image, dtype=np.uint8)


def _no_mask(image: Image.Image) -> str:
    """Return the reason why an image of this mode is no mask, and what to do."""
    if image.mode in GREY_MODES - ALPHA_MODES:
        values = np.asarray(image)
        fits = values.min() >= 0 and values.max() <= 255
        return (
            f"it has 16 bits a pixel or more (mode {image.mode}), with values from {values.min():,} to "
            f"{values.max():,}, and a mask has 8: "
            + (AS_PNG if fits else f"give its classes numbers below 255, and {AS_PNG}")
        )
    if image.mode in ("LA", "La", "PA"):
        return f"it has an alpha channel (mode {image.mode}), and a mask has none: remove it, and {AS_PNG}"
    pixels = np.asarray(image.convert("RGB"))
    if (pixels == pixels[..., :1]).all():
        return (
            f"it is an image of colours (mode {image.mode}) whose channels are all the same, and a mask has "
            f"one: keep one of them, and {AS_PNG}"
        )
    packed = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
    return (
        f"it is an image of colours (mode {image.mode}) with {len(np.unique(packed)):,} of them, and a mask "
        f"has the number of a class in each pixel: write 0 for the first colour, 1 for the second and so on, "
        f"and {AS_PNG}"
    )


def _refuse_scaled(image: ImageFile.ImageFile) -> None:
    """Refuse greys of which Pillow reads other values than are stored: of 2 or 4 bits, or with a maximum.

    A label 1 of 15 would be read as 17. Programs disagree on which of the two is meant.
    """
    for tile in image.tile:
        stored = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        kinds = [one for one in stored if isinstance(one, str) and one.startswith("L")]
        is_limited = tile[0].startswith("ppm") and stored[-1] != 255
        if is_limited or any(kind != "L" for kind in kinds):
            raise UnreadableImageError(
                f"its greys do not have 8 bits a pixel, and programs scale such values differently: {AS_PNG}"
            )


def shown_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image as it is decoded, in pixels, without reading its pixels.

    EXIF orientation is applied, except where a PNG has it behind its pixels.

    Raises:
        UnreadableImageError: the header cannot be read. The message is only the reason.
    """
    with opened(path) as image:
        width, height = image.size
        is_read = image.format != "PNG" or "exif" in image.info
        turned = is_read and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)


def other_size(image: Path, size: tuple[int, int], mask: Path, mask_size: tuple[int, int]) -> RequestError:
    """Return the error that a mask has another size than its image; sizes are (width, height) in pixels."""
    (width, height), (mask_width, mask_height) = size, mask_size
    return RequestError(
        f"{mask} has {mask_width}×{mask_height} pixels, and its image {image} has {width}×{height}: give "
        "both the same size, and resize masks without interpolation (nearest neighbour)"
    )
