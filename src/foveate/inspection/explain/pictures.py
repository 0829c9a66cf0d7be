"""The pictures of `foveate explain`: all networks on the same images, and the maps of their attention."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from foveate.attention.explanations import explain_intermediate
from foveate.evaluation.heat import bar_ends, heat, is_flat, overlay, say_flat
from foveate.files import write_bytes
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.sheets import Tile, draw_sheet, fitted, outlined, resized, tile_side
from foveate.inspection.explain.subjects import Subjects
from foveate.models.sites.capture import attention_modules, capture
from foveate.notation import decimals, interval, listing
from foveate.records.examination import PictureRecord
from foveate.records.explain import EXPLAIN
from foveate.records.labels import display_name, name_in_sentence

__all__ = [
    "GridColumn",
    "as_pixels",
    "draw_grid",
    "draw_own_maps",
    "draw_tile",
    "make_column",
    "readable",
    "remove_others",
    "write_picture",
]

SYMBOLS = {"tau": "τ", "alpha": "α", "w_0": "w₀", "w_1": "w₁"}
"""How a picture writes the names of maps; other names are unchanged."""
MOST_ROWS = 5
"""A picture of a mechanism's own maps has at most this many rows: the last site for each size of map."""
EMPTY, FILLED = 238, (106, 76, 147)
"""The colours of bars: the grey behind them, and their own."""


@dataclass(frozen=True, eq=False)
class GridColumn:
    """A column of the grid: one network on the B images of the grid.

    Attributes:
        label: its mechanism.
        maps: (B, S, S) in 0..1.
        answers: the classes that it answers.
        confidence: the probability of each answer.
        correct: whether each answer is right; None where the class of the image is unknown.
    """

    label: str
    maps: Tensor
    answers: list[str]
    confidence: list[float]
    correct: list[bool | None]


def make_column(
    built: BuiltNetwork, subjects: Subjects, drawn: np.ndarray, method: str, batch_size: int
) -> GridColumn:
    """Make the maps and the answers of one network for the images with the numbers `drawn`."""
    maps: list[Tensor] = []
    answers: list[int] = []
    confidence: list[float] = []
    for numbers in np.array_split(drawn, -(-len(drawn) // batch_size)):
        some, logits = built.maps(subjects.images(numbers), method)
        probability, answer = logits.softmax(dim=1).max(dim=1)
        maps.append(some)
        answers += answer.tolist()
        confidence += probability.tolist()
    correct = [
        bool(label == answer) if label >= 0 else None
        for label, answer in zip(subjects.labels[drawn], answers, strict=True)
    ]
    names = [subjects.classes[answer] for answer in answers]
    return GridColumn(built.trained.label, torch.cat(maps), names, confidence, correct)


def draw_grid(
    folder: Path, columns: Sequence[GridColumn], subjects: Subjects, drawn: np.ndarray
) -> PictureRecord:
    """Draw the images in rows, with a column for each network's maps and answers."""
    side = tile_side(1 + len(columns))
    pictures = [fitted(as_pixels(image), side) for image in subjects.images(drawn)]
    inside, known = subjects.objects(drawn)
    rows = []
    for row, picture in enumerate(pictures):
        label = subjects.labels[drawn[row]]
        name = readable(subjects.classes[label]) if label >= 0 else Path(subjects.names[drawn[row]]).stem
        original = outlined(picture, inside[row].numpy()) if known[row] else picture
        tiles = [Tile(original, (name,)), *(_map_tile(column, row, picture) for column in columns)]
        rows.append(("", tiles))
    heads = ["image", *(display_name(column.label) for column in columns)]
    networks = listing([name_in_sentence(column.label) for column in columns])
    description = (
        f"{len(drawn)} images in rows; in columns the image and, laid over it, what {networks} looked at, "
        "with the answer and its probability."
    )
    return write_picture(folder, "grid.png", draw_sheet(heads, rows), "Where each network looks", description)


def _map_tile(column: GridColumn, row: int, picture: np.ndarray) -> Tile:
    """Return the map of one network over one image, with the answer below."""
    probability, correct = f"{column.confidence[row]:.2f}", column.correct[row]
    verdict = probability if correct is None else f"{probability} {'✓' if correct else '✗'}"
    laid = overlay(picture, column.maps[row].numpy())
    return Tile(laid, (readable(column.answers[row]), verdict), correct)


def draw_own_maps(folder: Path, built: BuiltNetwork, prepared: Tensor, image: Tensor) -> PictureRecord | None:
    """Draw the maps that a network's attention makes of one image, from the first stage to the last.

    Returns None where the network has no attention.

    Args:
        prepared: the image as the network takes it, (1, C, H, W).
        image: the same in 0..1, (C, H, W).
    """
    if not attention_modules(built.network):
        return None
    with capture(built.network) as maps, torch.inference_mode():
        built.network(prepared)
    modules = attention_modules(built.network)
    sites = _last_of_each_size(maps)[-MOST_ROWS:]
    names = list(dict.fromkeys(name for site in sites for name in maps[site] if maps[site][name].numel() > 1))
    side = tile_side(1 + len(names))
    picture = fitted(as_pixels(image), side)
    shape = picture.shape[0], picture.shape[1]
    rows = []
    for site in sites:
        place = site.removesuffix(".attention").removeprefix("backbone.body.").removeprefix("encoder.model.")
        head = "\n".join([place or "attention", *_single_numbers(maps[site])])
        rows.append(
            (head, [Tile(picture), *(draw_tile(maps[site].get(name), side, shape) for name in names)])
        )
    label, columns = display_name(built.trained.label), [_symbol(name) for name in names]
    description = (
        f"The maps of {label} itself, {', '.join(columns)}, of one image, at {len(sites)} places from the "
        "first stage to the last. Maps of many channels are their mean, weights of channels are bars from 0 "
        "to 1; below each is its range. A map that hardly varies is grey, with its value in words."
    )
    meanings = {
        _symbol(name): explain_intermediate(modules[site], name) for site in sites for name in maps[site]
    }
    file = f"maps_{re.sub(r'[^a-z0-9]+', '_', built.trained.label.lower()).strip('_')}.png"
    sheet = draw_sheet(["image", *columns], rows)
    return write_picture(folder, file, sheet, f"The own maps of {label}", description, meanings)


def _last_of_each_size(maps: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """Return the sites, in their order, that are the last whose maps have these names and shapes."""
    by_size = {
        tuple((name, value.shape) for name, value in found.items()): site for site, found in maps.items()
    }
    return [site for site in maps if site in by_size.values()]


def remove_others(folder: Path, pictures: Sequence[PictureRecord]) -> None:
    """Remove the pictures of earlier requests in `folder` that are not among `pictures`."""
    kept = {folder / picture.file for picture in pictures}
    for file in (folder / EXPLAIN).glob("*.png"):
        if file not in kept and (file.stem == "grid" or file.stem.startswith("maps_")):
            file.unlink()


def draw_tile(value: Tensor | None, side: int, shape: tuple[int, int] | None = None) -> Tile:
    """Draw a map (1, C, H, W) by its mean, weights (1, C, 1, 1) as bars; flat ones in words.

    It has the height and width `shape` of the picture of the image; by default it is a square.
    """
    shape = shape or (side, side)
    if value is None:
        return Tile(None)
    values = value.float().cpu()
    if values.ndim == 4 and values.shape[2:].numel() == 1:
        weights = values.flatten().numpy()
        if is_flat(weights):
            return _flat_tile(weights, shape)
        return Tile(
            resized(_bars(weights, side), shape, Image.Resampling.NEAREST),
            (_range(float(weights.min()), float(weights.max())),),
        )
    plane = values[0].mean(dim=0)
    if is_flat(plane.numpy()):
        return _flat_tile(plane.numpy(), shape)
    low, high = float(plane.min()), float(plane.max())
    scaled = (plane - low) / (high - low)
    # A box filter: a pixel of the map becomes a square, or a part of a mean where the map is the larger one.
    large = resized(scaled.numpy(), shape, Image.Resampling.BOX)
    return Tile(heat(large), (_range(low, high),))


def _flat_tile(values: np.ndarray, shape: tuple[int, int]) -> Tile:
    return Tile(np.full((*shape, 3), EMPTY, np.uint8), (say_flat(values),))


def _single_numbers(found: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{_symbol(name)} {decimals(value.item(), 3)}" for name, value in found.items() if value.numel() == 1
    ]


def _symbol(name: str) -> str:
    return SYMBOLS.get(name, name)


def _range(low: float, high: float) -> str:
    return interval((low, high), 2)


def _bars(weights: np.ndarray, side: int) -> np.ndarray:
    """Draw the weights of channels as bars, on a scale from 0 to 1 that reaches further if they do.

    Channels that share a column of pixels are averaged.
    """
    known = np.nan_to_num(weights)
    low, high = bar_ends(known)
    parts = np.array_split(known, side) if len(known) > side else known[np.arange(side) * len(known) // side]
    means = np.array([part.mean() for part in parts])
    tall = ((means - low) / (high - low) * (side - 1)).round().astype(int)
    filled = np.arange(side)[::-1, None] <= tall[None]
    picture = np.full((side, side, 3), EMPTY, np.uint8)
    picture[filled] = FILLED
    return picture


def as_pixels(image: Tensor) -> np.ndarray:
    """Return an image (C, H, W) in 0..1 as uint8 (H, W, 3)."""
    pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def readable(name: str) -> str:
    """Return the name of a class as pictures write it."""
    return name.replace("_", " ")


def write_picture(
    folder: Path,
    file: str,
    sheet: Image.Image,
    title: str,
    description: str,
    meanings: Mapping[str, str] | None = None,
) -> PictureRecord:
    """Write a picture into the folder of the pictures beside the record in `folder`."""
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    write_bytes(folder / EXPLAIN / file, content.getvalue())
    named = {} if meanings is None else {"meanings": dict(meanings)}
    return PictureRecord(title=title, description=description, file=f"{EXPLAIN}/{file}", **named)
