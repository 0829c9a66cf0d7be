"""Boxes and masks over pictures."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from foveate.inspection.explain.sheets import font

__all__ = ["draw_box", "tinted"]

THIN, THICK, EDGE = (255, 255, 255), (255, 214, 10), (0, 0, 0)
TINT = (255, 214, 10)
PLAIN = 0.55
"""How bright a picture is where it is not tinted."""


def draw_box(
    picture: np.ndarray, box: Sequence[float], size: tuple[int, int], *, thick: bool = False, text: str = ""
) -> None:
    """Draw a box into a picture, uint8 (h, w, 3), in place, with a text in its upper left corner.

    Args:
        box: x0, y0, x1, y1 in pixels of the image that the picture is of.
        size: height and width of that image.
    """
    height, width = picture.shape[:2]
    x0, x1 = (round(x / size[1] * (width - 1)) for x in box[0::2])
    y0, y1 = (round(y / size[0] * (height - 1)) for y in box[1::2])
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    wide = 2 if thick else 1
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=EDGE, width=wide + 2)
    draw.rectangle((x0, y0, x1, y1), outline=THICK if thick else THIN, width=wide)
    if text:
        letters = font("small")
        _, _, right, bottom = draw.textbbox((0, 0), text, font=letters)
        at_x, at_y = min(max(x0, 0), width - right - 3), min(max(y0, 0), height - bottom - 2)
        draw.rectangle((at_x, at_y, at_x + right + 3, at_y + bottom + 2), fill=EDGE)
        draw.text((at_x + 2, at_y + 1), text, fill=THICK if thick else THIN, font=letters)
    picture[:] = np.asarray(image)


def tinted(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 (h, w, 3), tinted where `inside`, bool (H, W), and darker elsewhere."""
    height, width = picture.shape[:2]
    region = np.asarray(Image.fromarray(inside).resize((width, height), Image.Resampling.NEAREST))
    grey = picture.astype(np.float32).mean(axis=2, keepdims=True)
    mixed = np.where(region[:, :, None], 0.5 * grey + 0.5 * np.array(TINT), PLAIN * grey)
    return np.broadcast_to(mixed, picture.shape).round().clip(0, 255).astype(np.uint8)
