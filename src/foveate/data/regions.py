"""Where the object is in an image: boxes from a JSON file, masks from a folder of images."""

import hashlib
import json
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from foveate.data.folder import EXTENSIONS
from foveate.data.images import UnreadableImageError, decode, place
from foveate.errors import RequestError

__all__ = ["Regions", "as_seen", "read_regions"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the stored image, upright; all four belong to the object."""


class UnfitRegionError(RequestError):
    """A region that does not fit its image; the message is the reason alone."""


@dataclass(frozen=True)
class Regions:
    """The object of each image, by the image's name; what could not be read is in `left_out`.

    Of boxes the name is the path that the file gives. A mask belongs to the image of the same name, whatever
    its extension.
    """

    boxes: Mapping[str, Box] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.boxes or _stem(name) in self.masks

    def only(self, names: Set[str]) -> "Regions":
        """Those of the images `names`."""
        stems = {_stem(name) for name in names}
        return Regions(
            {name: box for name, box in self.boxes.items() if name in names},
            {stem: path for stem, path in self.masks.items() if stem in stems},
        )

    def identity(self, name: str) -> str:
        """What decides the region of an image, in few letters."""
        if name in self.boxes:
            return repr(self.boxes[name])
        return hashlib.sha256(self.masks[_stem(name)].read_bytes()).hexdigest()

    def strangers(self, names: list[str]) -> list[str]:
        """What has a region here and is none of the images `names`."""
        stems = {_stem(name) for name in names}
        known = set(names)
        return [name for name in self.boxes if name not in known] + [
            str(path) for stem, path in self.masks.items() if stem not in stems
        ]

    def inside(self, name: str, width: int, height: int) -> np.ndarray:
        """Which pixels of the image called `name`, `width` × `height`, are the object: bool (H, W).

        Raises RequestError, with the reason alone, for a box that is not within the image, a mask of another
        size, and one without any object.
        """
        if name in self.boxes:
            return _inside_box(self.boxes[name], width, height)
        return _inside_mask(self.masks[_stem(name)], width, height)


def read_regions(boxes: Path | None, masks: Path | None) -> Regions:
    """Read boxes from a JSON object, path → [x0, y0, x1, y1], and list the masks of a folder.

    Raises RequestError for what is not there, is no such JSON, or holds none; a single entry that is no box
    is left out.
    """
    found, left_out = _read_boxes(boxes) if boxes else ({}, [])
    named = _list_masks(masks) if masks else {}
    return Regions(found, named, tuple(left_out))


def as_seen(inside: np.ndarray, canvas: int, image_size: int) -> np.ndarray:
    """The object (H, W) as a network sees it, bool (S, S): resized and cut as `place` and `centre` do it."""
    placed = place(np.where(inside, 255, 0).astype(np.uint8), 1, canvas)[0]
    start = (canvas - image_size) // 2
    return placed[start : start + image_size, start : start + image_size] >= 128


def _read_boxes(path: Path) -> tuple[dict[str, Box], list[str]]:
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"--boxes {path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise RequestError(
            f"--boxes {path}: expected a JSON object of boxes, path of an image → [x0, y0, x1, y1]"
        )
    boxes: dict[str, Box] = {}
    left_out = []
    for name, value in content.items():
        if _is_box(value):
            boxes[str(PurePosixPath(name))] = (value[0], value[1], value[2], value[3])
        else:
            left_out.append(f"{name}: its box is {str(value)[:60]}, expected [x0, y0, x1, y1]")
    return boxes, left_out


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(one) in (int, float) and math.isfinite(one) for one in value)
    )


def _inside_box(box: Box, width: int, height: int) -> np.ndarray:
    x0, y0, x1, y1 = box
    if not (0 <= x0 <= x1 < width and 0 <= y0 <= y1 < height):
        raise UnfitRegionError(f"its box {list(box)} is not within its {width}×{height} pixels")
    inside = np.zeros((height, width), dtype=bool)
    inside[round(y0) : round(y1) + 1, round(x0) : round(x1) + 1] = True
    return inside


def _list_masks(folder: Path) -> dict[str, Path]:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise RequestError(f"--masks {folder} is no folder: give one with a mask for each image")
    masks = {
        _stem(file.relative_to(folder).as_posix()): file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")
    }
    if not masks:
        raise RequestError(f"--masks {folder} has no images: expected one for each, with the image's name")
    return masks


def _inside_mask(path: Path, width: int, height: int) -> np.ndarray:
    try:
        pixels, _ = decode(path)
    except UnreadableImageError as error:
        raise UnfitRegionError(f"its mask {path.name} cannot be read: {error}") from error
    if pixels.shape[:2] != (height, width):
        raise UnfitRegionError(
            f"its mask {path.name} has {pixels.shape[1]}×{pixels.shape[0]} pixels and the image has "
            f"{width}×{height}"
        )
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    # Masks hold 0 and 1, or 0 and 255, and a JPEG something near.
    if not grey.any():
        raise UnfitRegionError(f"its mask {path.name} marks nothing")
    return grey > grey.max() / 2


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
