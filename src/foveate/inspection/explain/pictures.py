"""The pictures of `foveate explain`: every mechanism on the same images, and each mechanism's own maps."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from foveate.evaluation.cam import cam_maps
from foveate.evaluation.heat import heat, overlay
from foveate.files import write_bytes
from foveate.inspection.explain.sheets import Tile, draw_sheet, enlarged, outlined, tile_side
from foveate.inspection.explain.subjects import Subjects
from foveate.inspection.trained import Trained
from foveate.models.sites.capture import attention_modules, capture
from foveate.notation import decimals, interval
from foveate.records.labels import display_name

__all__ = ["Looked", "draw_grid", "draw_own_maps", "look", "remove_others"]

FOLDER = "explain"
SYMBOLS = {"tau": "τ", "alpha": "α", "w_0": "w₀", "w_1": "w₁"}
"""How a picture writes the names of maps; the others stand as they are."""
MOST_ROWS = 5
"""Of a mechanism's own maps: the last attention at each size of map."""


class Looked(NamedTuple):
    """One network's maps (B, H, W) of the images of the grid, what it answered and how sure it was."""

    label: str
    maps: Tensor
    answers: list[str]
    confidence: list[float]
    right: list[bool | None]


def look(
    one: Trained,
    network: nn.Module,
    layer: str,
    subjects: Subjects,
    shown: np.ndarray,
    method: str,
    device: torch.device,
    batch_size: int,
) -> Looked:
    """Look at the images with the numbers `shown` through one network."""
    every, answers, confidence = [], [], []
    for numbers in np.array_split(shown, -(-len(shown) // batch_size)):
        maps, logits = cam_maps(network, layer, one.normalise(subjects.images(numbers).to(device)), method)
        sure, classes = logits.softmax(dim=1).max(dim=1)
        every.append(maps)
        answers += classes.tolist()
        confidence += sure.tolist()
    labels = subjects.labels[shown]
    right = [
        None if label < 0 else bool(label == answer) for label, answer in zip(labels, answers, strict=True)
    ]
    return Looked(one.label, torch.cat(every), [subjects.classes[k] for k in answers], confidence, right)


def draw_grid(
    folder: Path, looked: Sequence[Looked], subjects: Subjects, shown: np.ndarray
) -> dict[str, Any]:
    """Draw the images in rows, in columns what each network looked at, and return the picture's entry."""
    side = tile_side(1 + len(looked))
    pictures = [_picture(image, side) for image in subjects.images(shown)]
    inside, known = subjects.objects(shown)
    rows = []
    for k, picture in enumerate(pictures):
        label = subjects.labels[shown[k]]
        name = _readable(subjects.classes[label]) if label >= 0 else Path(subjects.names[shown[k]]).stem
        original = outlined(picture, inside[k].numpy()) if known[k] else picture
        tiles = [Tile(original, (name,))]
        for one in looked:
            sure = f"{one.confidence[k]:.2f}"
            verdict = {None: sure, True: f"{sure} ✓", False: f"{sure} ✗"}[one.right[k]]
            laid = overlay(picture, one.maps[k].numpy())
            tiles.append(Tile(laid, (_readable(one.answers[k]), verdict), one.right[k]))
        rows.append(("", tiles))
    columns = ["image", *(display_name(one.label) for one in looked)]
    description = (
        f"{len(shown)} images in rows; in columns the image and, laid over it, what "
        f"{', '.join(columns[1:])} looked at, with the answer and its probability."
    )
    return _written(folder, "grid.png", draw_sheet(columns, rows), "Where each network looks", description)


def draw_own_maps(
    folder: Path, one: Trained, network: nn.Module, subjects: Subjects, number: int, device: torch.device
) -> dict[str, Any] | None:
    """Draw the maps that a mechanism makes for itself of one image, from the first stage to the last.

    Returns the entry of the picture, or None where the network has no attention.
    """
    if not attention_modules(network):
        return None
    images = subjects.images([number])
    with capture(network) as maps, torch.inference_mode():
        network(one.normalise(images.to(device)))
    by_size = {
        tuple((name, value.shape) for name, value in found.items()): site for site, found in maps.items()
    }
    sites = [site for site in maps if site in by_size.values()][-MOST_ROWS:]
    names = list(dict.fromkeys(name for site in sites for name in maps[site] if maps[site][name].numel() > 1))
    side = tile_side(1 + len(names))
    picture = _picture(images[0], side)
    rows = [
        (
            "\n".join([site.removesuffix(".attention") or "attention", *_single_numbers(maps[site])]),
            [Tile(picture), *(_own_tile(maps[site].get(name), side) for name in names)],
        )
        for site in sites
    ]
    label, columns = display_name(one.label), [_symbol(name) for name in names]
    description = (
        f"The maps of {label} itself, {', '.join(columns)}, of one image, at {len(sites)} places from the "
        "first stage to the last. Maps of many channels are their mean, weights of channels are bars; below "
        "each is its range."
    )
    file = f"maps_{re.sub(r'[^a-z0-9]+', '_', one.label.lower()).strip('_')}.png"
    return _written(
        folder, file, draw_sheet(["image", *columns], rows), f"The own maps of {label}", description
    )


def remove_others(folder: Path, pictures: Sequence[dict[str, Any]]) -> None:
    """Remove what an earlier request drew in `folder` and is not among the entries `pictures`."""
    kept = {folder / picture["file"] for picture in pictures}
    for file in (folder / FOLDER).glob("*.png"):
        if file not in kept and (file.stem == "grid" or file.stem.startswith("maps_")):
            file.unlink()


def _own_tile(value: Tensor | None, side: int) -> Tile:
    if value is None:
        return Tile(None)
    values = value.float().cpu()
    if values.ndim == 4 and values.shape[2:].numel() == 1:
        weights = values.flatten().numpy()
        return Tile(_bars(weights, side), (_range(float(weights.min()), float(weights.max())),))
    plane = values[0].mean(dim=0)
    low, high = float(plane.min()), float(plane.max())
    scaled = (plane - low) / (high - low) if high > low else torch.zeros_like(plane)
    # A pixel of the map is a square where there is room for it, and its share of a mean where there is none.
    large = enlarged(scaled.numpy(), side, Image.Resampling.BOX)
    return Tile(heat(large), (_range(low, high),))


def _single_numbers(found: dict[str, Tensor]) -> list[str]:
    return [
        f"{_symbol(name)} {decimals(value.item(), 3)}" for name, value in found.items() if value.numel() == 1
    ]


def _symbol(name: str) -> str:
    return SYMBOLS.get(name, name)


def _range(low: float, high: float) -> str:
    return interval([low, high], 2)


def _bars(weights: np.ndarray, side: int) -> np.ndarray:
    """Weights, one a channel, as bars from the bottom, on a scale of 0 to 1 or what they reach beyond.

    Where there are more channels than pixels, those that share one are averaged.
    """
    known = np.nan_to_num(weights)
    low, high = min(0.0, float(known.min())), max(1.0, float(known.max()))
    parts = np.array_split(known, side) if len(known) > side else known[np.arange(side) * len(known) // side]
    means = np.array([part.mean() for part in parts])
    tall = ((means - low) / (high - low) * (side - 1)).round().astype(int)
    filled = np.arange(side)[::-1, None] <= tall[None]
    picture = np.full((side, side, 3), 238, np.uint8)
    picture[filled] = (106, 76, 147)
    return picture


def _picture(image: Tensor, side: int) -> np.ndarray:
    """An image (C, S, S) in 0..1 as uint8 (side, side, 3)."""
    pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    return enlarged(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), side)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _written(folder: Path, file: str, sheet: Image.Image, title: str, description: str) -> dict[str, Any]:
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    write_bytes(folder / FOLDER / file, content.getvalue())
    return {"title": title, "description": description, "file": f"{FOLDER}/{file}"}
