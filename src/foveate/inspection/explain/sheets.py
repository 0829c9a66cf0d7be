"""Contact sheets: pictures in rows and columns with their names, drawn by Pillow."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from foveate.names import cleaned

__all__ = ["Tile", "draw_sheet", "fitted", "font", "outlined", "resized", "tile_side"]

WIDTH = 1040
"""In pixels: the approximate width of a sheet with any number of columns."""
TILES = (88, 156)
"""The smallest and the largest side of a picture, in pixels."""
GAP, MARGIN, LINE = 10, 14, 17
TEXT = {"head": 14, "body": 12, "small": 10}
INK, QUIET, GOOD, BAD, PAPER = "#1c2126", "#59626b", "#0d7a55", "#b3401a", "#ffffff"
OUTLINE = (255, 255, 255)


class Tile(NamedTuple):
    """A picture, uint8 (H, W, 3), with up to two lines below; `good` colours the second."""

    picture: np.ndarray | None
    lines: tuple[str, ...] = ()
    good: bool | None = None


def draw_sheet(
    columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Tile]]], largest: int = TILES[1]
) -> Image.Image:
    """Draw rows on white below the names of the columns; a row is a name (of several lines) and its tiles.

    The longer side of each picture is the one that `tile_side` returns, enlarged without smoothing if it is
    smaller. A row is as high as its highest picture.
    """
    side, beside = tile_side(len(columns), largest), _name_width([name for name, _ in rows])
    shown = [[_shown(tile, side) for tile in tiles] for _, tiles in rows]
    high = [max((len(one) for one in pictures if one is not None), default=side) for pictures in shown]
    below = [LINE * max((len(tile.lines) for tile in tiles), default=0) for _, tiles in rows]
    step_x = side + GAP
    width = 2 * MARGIN + beside + len(columns) * step_x - GAP
    height = 2 * MARGIN + LINE + 6 + sum(high) + sum(below) + GAP * (len(rows) - 1)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    left, y = MARGIN + beside, MARGIN + LINE + 6
    for column, name in enumerate(columns):
        _write(draw, (left + column * step_x, MARGIN), name, side, INK, "head")
    for number, (name, tiles) in enumerate(rows):
        for k, line in enumerate(lines := name.splitlines()):
            place = (MARGIN, y + (high[number] - LINE * len(lines)) // 2 + k * LINE)
            _write(draw, place, line, beside - GAP, QUIET, "body")
        for column, (tile, picture) in enumerate(zip(tiles, shown[number], strict=True)):
            x = left + column * step_x
            if picture is not None:
                sheet.paste(Image.fromarray(picture), (x, y))
            for k, line in enumerate(tile.lines):
                colour = QUIET if tile.good is None or k == 0 else GOOD if tile.good else BAD
                _write(draw, (x, y + high[number] + 2 + k * LINE), line, side, colour, "body")
        y += high[number] + below[number] + GAP
    return sheet


def tile_side(columns: int, largest: int = TILES[1]) -> int:
    """Return the longer side of each picture in a sheet with this number of columns."""
    return max(TILES[0], min(largest, (WIDTH - 2 * MARGIN) // columns - GAP))


def fitted(picture: np.ndarray, side: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """Resize a picture, uint8 (H, W, 3), so that its longer side is `side`."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    return resized(picture, (max(round(scale * height), 1), max(round(scale * width), 1)), how)


def resized(picture: np.ndarray, shape: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Resize a picture, uint8 (H, W, 3), or a map, float (H, W), to the height and width `shape`."""
    if picture.shape[:2] == shape:
        return picture
    return np.asarray(Image.fromarray(picture).resize(shape[::-1], how))


def outlined(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Draw the border of the region `inside`, bool (h, w), into a square picture, uint8 (S, S, 3)."""
    side = picture.shape[0]
    large = np.asarray(Image.fromarray(inside).resize((side, side), Image.Resampling.NEAREST))
    framed = picture.copy()
    for depth, colour in ((3, (0, 0, 0)), (2, OUTLINE)):
        framed[large & ~binary_erosion(large, iterations=depth)] = colour
    return framed


@functools.cache
def font(kind: str) -> ImageFont.FreeTypeFont:
    """Return the font of the names of columns ("head"), of lines ("body"), or of texts within pictures."""
    import matplotlib  # its font has the letters τ and α, Pillow's own has not

    name = "DejaVuSans-Bold.ttf" if kind == "head" else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, TEXT[kind])


def _shown(tile: Tile, side: int) -> np.ndarray | None:
    return None if tile.picture is None else fitted(tile.picture, side, Image.Resampling.NEAREST)


def _name_width(names: Sequence[str]) -> int:
    lines = [line for name in names for line in name.splitlines()]
    longest = max((font("body").getlength(cleaned(line)) for line in lines), default=0)
    return min(round(longest) + 2 * GAP, 170) if longest else 0


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, room: int, colour: str, kind: str
) -> None:
    """Write a line of text, cut off with "…" where it does not fit."""
    text = cleaned(text)
    letters, short = font(kind), text
    while short and letters.getlength(short + "…" * (short != text)) > room:
        short = short[:-1]
    draw.text(at, short + "…" * (short != text), fill=colour, font=letters)
