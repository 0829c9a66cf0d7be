"""The region of the object in an image: boxes from a JSON file, masks from a folder of images."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from foveate.data.folder import EXTENSIONS
from foveate.data.images import UnreadableImageError, place
from foveate.data.masks import (
    ObjectValues,
    describe_masks,
    inside_mask,
    parse_object_values,
    refuse_unclear_masks,
)
from foveate.errors import RequestError

__all__ = ["Regions", "as_seen", "read_regions"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the upright image; all four belong to the object."""


class UnfitRegionError(RequestError):
    """A region that does not fit its image; the message is only the reason."""


@dataclass(frozen=True)
class Regions:
    """The object of each image, by the image's name, with sentences on the regions that were excluded.

    `object_values` are the values of the object in masks; () if the masks show which they are.

    The name of a box is the path in its file. A mask belongs to the image of the same name, whatever its
    extension; if several images or several masks have that name, it belongs to none. If an image has both,
    the box is its object, and the mask replaces a box that does not fit.
    """

    boxes: Mapping[str, Box] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    exclusions: tuple[str, ...] = ()
    object_values: ObjectValues = ()

    def __contains__(self, name: str) -> bool:
        return name in self.boxes or _stem(name) in self.masks

    def identity(self, name: str) -> str:
        """Return what determines the region of an image, as a short string."""
        if name in self.boxes:
            return repr(self.boxes[name])
        content = hashlib.sha256(self.masks[_stem(name)].read_bytes()).hexdigest()
        return f"{content} {self.object_values}" if self.object_values else content

    def strangers(self, names: list[str]) -> list[str]:
        """Return the names of regions that belong to none of the images `names`."""
        stems = {_stem(name) for name in names}
        known = set(names)
        return [name for name in self.boxes if name not in known] + [
            str(path) for stem, path in self.masks.items() if stem not in stems
        ]

    def inside(self, name: str, width: int, height: int) -> np.ndarray:
        """Return the object in the image called `name`, `width` × `height` pixels, as bool (H, W).

        Raises RequestError, with only the reason, for a box beyond the image, or a mask of another size or
        without an object.
        """
        if name in self.boxes:
            return _inside_box(self.boxes[name], width, height)
        return _inside_mask(self.masks[_stem(name)], width, height, self.object_values)

    def fitting(
        self, sizes: Mapping[str, tuple[int, int]], seen: Callable[[np.ndarray], np.ndarray]
    ) -> "Regions":
        """Return the regions that fit their images, and sentences on all others as `exclusions`.

        `sizes` are (width, height) of the images by name. `seen` returns what a network sees of an object
        (H, W), or raises RequestError with the reason.

        Raises RequestError if it is unclear which of the masks' values is the object.
        """
        claims = Counter(_stem(name) for name in sizes)
        if not self.object_values:
            refuse_unclear_masks([self.masks[stem] for stem in claims if stem in self.masks])
        boxes: dict[str, Box] = {}
        masks: dict[str, Path] = {}
        unfit: list[str] = []
        for name, size in sizes.items():
            box, mask = self.boxes.get(name), self.masks.get(_stem(name))
            if mask and claims[_stem(name)] > 1:
                unfit.append(f"{name}: the mask {mask.name} may belong to another image as well")
                mask = None
            if box:
                try:
                    seen(_inside_box(box, *size))
                except RequestError as error:
                    unfit.append(f"{name}: {error}" + "; its mask is used instead" * bool(mask))
                else:
                    boxes[name] = box
                    if mask:
                        unfit.append(f"{name}: its mask {mask.name}, because its box is used")
                    continue
            if mask:
                try:
                    seen(_inside_mask(mask, *size, self.object_values))
                except RequestError as error:
                    unfit.append(f"{name}: {error}")
                else:
                    masks[_stem(name)] = mask
        return Regions(boxes, masks, (*self.exclusions, *unfit), self.object_values)

    def describe(self) -> str:
        """Return a sentence on which values of the masks are the object; "" without masks."""
        return describe_masks(list(self.masks.values()), self.object_values)


def read_regions(boxes: Path | None, masks: Path | None, mask_object: str | None = None) -> Regions:
    """Read boxes from a JSON object, path → [x0, y0, x1, y1], and list the masks of a folder.

    `mask_object` says which values of the masks are the object: "1", "1,2" or "128-255".

    Raises RequestError if a path is missing, is no such JSON, or has no regions; an entry that is no box is
    excluded.
    """
    found, exclusions = _read_boxes(boxes) if boxes else ({}, [])
    named, claimed = _list_masks(masks) if masks else ({}, [])
    values = parse_object_values(mask_object) if mask_object is not None else ()
    if values and not masks:
        raise RequestError(f"--mask-object {mask_object} is for masks: give their folder with --masks")
    return Regions(found, named, (*exclusions, *claimed), values)


def as_seen(inside: np.ndarray, canvas: int, image_size: int) -> np.ndarray:
    """Return the object (H, W) as a network sees it, bool (S, S), resized and cut as by `place` and `centre`.

    A pixel belongs to it if at least half of it is covered; for a smaller object, the most covered pixels do.

    Raises RequestError, with only the reason, if nothing of it is seen.
    """
    placed = place(np.where(inside, 255, 0).astype(np.uint8), 1, canvas)[0]
    most = int(placed.max())
    if most == 0:
        raise UnfitRegionError(f"its object is too small to be seen at {image_size}×{image_size} pixels")
    start = (canvas - image_size) // 2
    within = placed[start : start + image_size, start : start + image_size] >= min(128, most)
    if not within.any():
        raise UnfitRegionError("its object lies outside of what the network sees")
    return within


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
    exclusions = []
    for name, value in content.items():
        if _is_box(value):
            boxes[str(PurePosixPath(name))] = (value[0], value[1], value[2], value[3])
        else:
            exclusions.append(f"{name}: its box is {str(value)[:60]}, expected [x0, y0, x1, y1]")
    return boxes, exclusions


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


def _list_masks(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the masks by the stems of their images, and sentences on masks with the same stem."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise RequestError(f"--masks {folder} is not a folder: give one with a mask for each image")
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in EXTENSIONS and not file.name.startswith("."):
            found.setdefault(_stem(file.relative_to(folder).as_posix()), []).append(file)
    if not found:
        raise RequestError(f"--masks {folder} has no images: expected one for each, with the image's name")
    several = [
        f"{' and '.join(str(file.relative_to(folder)) for file in files)}: masks of the same image"
        for files in found.values()
        if len(files) > 1
    ]
    return {stem: files[0] for stem, files in found.items() if len(files) == 1}, several


def _inside_mask(path: Path, width: int, height: int, values: ObjectValues) -> np.ndarray:
    try:
        inside = inside_mask(path, values)
    except UnreadableImageError as error:
        raise UnfitRegionError(f"its mask {path.name} cannot be read: {error}") from error
    if inside.shape != (height, width):
        raise UnfitRegionError(
            f"its mask {path.name} has {inside.shape[1]}×{inside.shape[0]} pixels and the image has "
            f"{width}×{height}"
        )
    if not inside.any():
        raise UnfitRegionError(f"its mask {path.name} marks nothing")
    return inside


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
