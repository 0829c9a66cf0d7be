"""Draw boxes and masks over images; sizes are in pixels of the drawing."""

import colorsys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from foveate.report.core.theme import COLOURS

__all__ = ["GREY", "DrawnBox", "class_colours", "draw_boxes", "draw_mask", "enlarged"]

GREY = "#8b9199"
ENLARGED_TO = 400
LINE, DASH, GAP = 5, 12, 9
COLOUR_SHARE = 0.6
"""Of the colour of a class over the grey image."""
HATCH = 4
"""The width of the stripes over pixels that are not labelled."""


class DrawnBox(NamedTuple):
    """A box: x0, y0, x1, y1, its colour, and whether its lines are dashed."""

    corners: Sequence[float]
    colour: str
    is_dashed: bool = False


def class_colours(classes: int) -> list[str]:
    """Return a colour for each class; after the first ten, hues by the golden angle."""
    hues = ((index * 0.618034) % 1 for index in range(classes - len(COLOURS)))
    further = [colorsys.hls_to_rgb(hue, 0.5, 0.65) for hue in hues]
    return [
        *COLOURS[:classes],
        *("#" + "".join(f"{round(255 * part):02x}" for part in one) for one in further),
    ]


def enlarged(pixels: np.ndarray, *, nearest: bool = True) -> Image.Image:
    """Return a small image a whole number of times as large, so that lines over it are thin."""
    factor = max(ENLARGED_TO // max(pixels.shape[:2]), 1)
    image = Image.fromarray(pixels)
    size = image.width * factor, image.height * factor
    return image.resize(size, Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC)


def draw_boxes(image: Image.Image, boxes: Sequence[DrawnBox]) -> Image.Image:
    """Return a copy of `image` with `boxes`, each over a dark line that shows on any colour."""
    drawn = image.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    for box in boxes:
        for start, end in _strokes(box):
            pen.line([start, end], fill="#101418", width=LINE + 2)
        for start, end in _strokes(box):
            pen.line([start, end], fill=box.colour, width=LINE)
    return drawn


def _strokes(box: DrawnBox) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    x0, y0, x1, y1 = box.corners
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = abs(bx - ax) + abs(by - ay)
        if not box.is_dashed or length <= DASH:
            yield (ax, ay), (bx, by)
            continue
        along, across = (bx - ax) / length, (by - ay) / length
        for start in np.arange(0, length, DASH + GAP).tolist():
            end = min(start + DASH, length)
            yield (ax + along * start, ay + across * start), (ax + along * end, ay + across * end)


def draw_mask(
    pixels: np.ndarray, mask: np.ndarray, colours: Sequence[str | None], ignored: int
) -> Image.Image:
    """Return the image (h, w, 3) in grey under the colours of the classes in `mask` (h, w).

    A class whose colour is None stays grey, as do values without a class. Pixels with the value `ignored` are
    hatched.
    """
    image = enlarged(pixels)
    large = np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST))
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None].repeat(3, axis=2)
    drawn = grey.copy()
    for label, colour in enumerate(colours):
        if colour is not None:
            tint = np.array(ImageColor.getrgb(colour)[:3], dtype=np.float32)
            here = large == label
            drawn[here] = (1 - COLOUR_SHARE) * grey[here] + COLOUR_SHARE * tint
    rows, columns = np.indices(large.shape)
    stripe = ((rows + columns) // HATCH % 2 == 0)[..., None]
    hatched = np.where(stripe, 235.0, 150.0) * 0.75 + 0.25 * grey
    drawn = np.where((large == ignored)[..., None], hatched, drawn)
    return Image.fromarray(drawn.round().astype(np.uint8))
