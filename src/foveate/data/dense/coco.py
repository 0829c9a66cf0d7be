"""Read images with boxes in COCO's format (Lin et al. 2014, cocodataset.org/#format-data).

A file has lists of images, annotations and categories; a box is x, y, width, height in pixels from the upper
left corner. The numbers of categories may have gaps: those of COCO's 80 classes go to 90.
"""

import json
from pathlib import Path
from reprlib import repr as brief
from typing import Any, NamedTuple, NoReturn

import numpy as np

from foveate.data.dense.box_checks import refuse_fractions
from foveate.data.dense.coco_files import CocoFile, find_coco_files
from foveate.data.dense.listing import Folders, refuse_missing
from foveate.data.dense.written import WrittenPart, WrittenSet, as_rows
from foveate.data.notes import Note
from foveate.errors import RequestError, shortened
from foveate.names import cleaned

__all__ = ["read_coco"]

NUMBERS = frozenset({int, float})
SIDES = ("width", "height")
LARGEST_SIDE = 2**31
LARGEST_AREA = float(np.finfo(np.float32).max)
PROBED_IMAGES = 20
"""Images that are looked for in each folder that may be theirs."""


class _Content(NamedTuple):
    """The lists of an annotation file, and its name for messages."""

    name: str
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


def read_coco(root: Path) -> WrittenSet:
    """Read the annotation files of a set and find its images.

    Crowds (`iscrowd`) and images without annotations are kept. Classes of several files are matched by name,
    and have the numbers of the training part. A box that is not stated is that around its polygons.

    Raises:
        RequestError: a file that is no JSON or not of this format; an unknown image or category; images that
            are missing; numbers that are given twice; normalised coordinates.
    """
    found = find_coco_files(root)
    notes, folders = [*found.notes], Folders()
    classes: dict[str, int] = {}
    parts: dict[str, WrittenPart] = {}
    for file in found.files:
        content = _load(file.path, str(file.path.relative_to(root)))
        if not content.annotations and file.role == "test" and len(found.files) > 1:
            said = f"{content.name} has no annotations: its images were excluded ({len(content.images):,})."
            notes.append(Note(said, is_exclusion=True))
            continue
        labels = _labels(content, classes, notes)
        parts[file.role] = _read_part(root, file, content, labels, folders)
    if unused := folders.unused(path for part in parts.values() for path in part.images):
        said = f"Images that the annotation files do not list were excluded ({len(unused):,}): "
        notes.append(Note(f"{said}{shortened(unused)}.", is_exclusion=True))
    return WrittenSet(root.name, parts, tuple(classes), tuple(classes.values()), notes)


def _load(path: Path, name: str) -> _Content:
    try:
        content = json.loads(path.read_bytes(), object_hook=_without_polygons)
    except OSError as error:
        raise RequestError(f"{name} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise RequestError(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. Write it again, "
            "whole"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of 5,000 digits, [[[[…
        raise RequestError(f"{name} is not JSON of COCO's format: {error}") from error
    lists = []
    for key in ("images", "annotations", "categories"):
        value = content.get(key) if isinstance(content, dict) else None
        if value is None and key == "annotations":
            value = []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise RequestError(
                f"{name}: expected an object with lists of objects called images, annotations and "
                f"categories, as in COCO's format, and it has no such {key}"
            )
        lists.append(value)
    if not lists[0]:
        raise RequestError(f"{name} lists no images: add them, or remove the file")
    return _Content(name, *lists)


def _without_polygons(value: dict[str, Any]) -> dict[str, Any]:
    """Drop the polygons of an annotation with a box as soon as it is parsed: they take most of the memory."""
    if value.get("bbox"):
        value.pop("segmentation", None)
    return value


def _labels(content: _Content, classes: dict[str, int], notes: list[Note]) -> dict[Any, int]:
    """Return the index in `classes` of each category's number, and add new names to `classes`."""
    names: dict[int, str] = {}
    for one in content.categories:
        number, name = _whole(one.get("id")), one.get("name")
        if type(number) is not int or not isinstance(name, str | int):
            raise RequestError(
                f"{content.name}: a category is {brief(one)}: expected a whole number `id` and a `name`"
            )
        if number in names:
            raise RequestError(
                f"{content.name}: the category number {number} is both {names[number]!r} and {name!r}: give "
                "each its own"
            )
        names[number] = cleaned(str(name))
    # Roboflow's files have a category of the set beside the classes, at times with the name of a class.
    given = (one.get("category_id") for one in content.annotations)
    used = {number for number in given if isinstance(number, int | float)}
    numbers: dict[str, int] = {}
    for number, name in names.items():
        other = numbers.setdefault(name, number)
        if other != number:
            if other in used and number in used:
                raise RequestError(
                    f"{content.name}: categories {other} and {number} are both called {name!r}: rename one"
                )
            numbers[name] = number if number in used else other
    if any(classes.get(name, number) != number for name, number in numbers.items()):
        said = f"The categories of {content.name} have other numbers than those of the training part: they "
        notes.append(Note(f"{said}were matched by name."))
    for name, number in numbers.items():
        classes.setdefault(name, number)
    order = {name: index for index, name in enumerate(classes)}
    return {number: order[name] for number, name in names.items()}


def _read_part(
    root: Path, file: CocoFile, content: _Content, labels: dict[Any, int], folders: Folders
) -> WrittenPart:
    positions = _positions(content)
    paths = _find_images(root, file, content, folders)
    owners, classes, boxes, areas, crowd, numbers = [], [], [], [], [], []
    for index, one in enumerate(content.annotations):
        try:
            owner, label = positions[one["image_id"]], labels[one["category_id"]]
            x, y, width, height = one.get("bbox") or _box_around(one["segmentation"])
            if not NUMBERS.issuperset(map(type, (x, y, width, height))):
                raise TypeError
            boxes.append((float(x), float(y), float(x) + width, float(y) + height))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            _refuse(content, positions, labels, index)
        area = one.get("area")
        owners.append(owner)
        classes.append(label)
        areas.append(_size(area, LARGEST_AREA))
        crowd.append(one.get("iscrowd") in (1, "1"))
        numbers.append(one.get("id", f"number {index + 1}"))
    corners = as_rows(boxes, 4, np.float64)
    refuse_fractions(content.name, corners, "COCO")
    stated = [[int(_size(one.get(side), LARGEST_SIDE) or 0) for side in SIDES] for one in content.images]
    ids = list(positions)
    has_numbers = all(type(number) is int and number >= 0 for number in ids)
    part = WrittenPart(
        source=content.name,
        images=paths,
        ids=ids if has_numbers else range(1, len(ids) + 1),
        stated=as_rows(stated, 2, np.int64),
        owners=np.array(owners, dtype=np.int64),
        boxes=corners,
        labels=np.array(classes, dtype=np.int64),
        areas=np.array(areas, dtype=np.float64),  # None is NaN
        crowd=np.array(crowd, dtype=bool),
        where=lambda k: f"{content.name}, annotation {numbers[k]}",
    )
    _refuse_corners(part)
    return part


def _positions(content: _Content) -> dict[Any, int]:
    """Return the index of each image's number."""
    positions: dict[Any, int] = {}
    for index, one in enumerate(content.images):
        number, name = _whole(one.get("id")), one.get("file_name")
        if not isinstance(number, int | str) or not isinstance(name, str) or not name:
            raise RequestError(
                f"{content.name}: image number {index + 1} of the list has no `id` or no `file_name`: give "
                "both"
            )
        if number in positions:
            first = content.images[positions[number]]["file_name"]
            raise RequestError(
                f"{content.name}: {first} and {name} have the same id, {number!r}: give each its own, in "
                "their annotations too"
            )
        positions[number] = index
    return positions


def _find_images(root: Path, file: CocoFile, content: _Content, folders: Folders) -> list[Path]:
    """Return the files of the images, in the folder that has most of the first ones."""
    names = [one["file_name"].replace("\\", "/") for one in content.images]
    few = names[:: max(len(names) // PROBED_IMAGES, 1)]
    hits = {base: sum(path is not None for path in folders.find(base, few)) for base in file.bases}
    base = max(hits, key=lambda one: hits[one])  # the first of equals
    places = [one for one in file.bases if one.is_dir()]
    looked = shortened((root.name if one == root else one.relative_to(root) for one in places), 8)
    return refuse_missing(content.name, names, folders.find(base, names), looked)


def _box_around(segmentation: Any) -> tuple[float, float, float, float]:
    """Return x, y, width, height of the box around polygons, lists x, y, x, y, …"""
    xs = [x for polygon in segmentation for x in polygon[0::2]]
    ys = [y for polygon in segmentation for y in polygon[1::2]]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _refuse(content: _Content, positions: dict[Any, int], labels: dict[Any, int], index: int) -> NoReturn:
    """Raise the RequestError that says what is wrong with an annotation."""
    one = content.annotations[index]
    where = f"{content.name}, annotation {one.get('id', f'number {index + 1}')}"
    image, category, box = one.get("image_id"), one.get("category_id"), one.get("bbox")
    if not _is_in(image, positions):
        count = sum(not _is_in(other.get("image_id"), positions) for other in content.annotations)
        raise RequestError(
            f"{where}: no image has the id {brief(image)}, as image_id says ({count:,} annotations like "
            "this): add the image, or remove them"
        )
    if not _is_in(category, labels):
        raise RequestError(
            f"{where}: no category has the id {brief(category)}; the categories are "
            f"{shortened(labels, 12)}: add it, or correct category_id"
        )
    if box:
        raise RequestError(
            f"{where}: bbox is {brief(box)}: expected four numbers in pixels, [x, y, width, height]"
        )
    raise RequestError(
        f"{where} has no bbox, and no polygons to find it from (a mask as run lengths is not enough): add "
        "bbox, [x, y, width, height]"
    )


def _is_in(key: Any, known: dict[Any, int]) -> bool:
    try:
        return key in known
    except TypeError:  # a list
        return False


def _size(value: Any, largest: float) -> float | None:
    """Return a width, height or area, or None if it is not stated as a positive number."""
    return float(value) if isinstance(value, int | float) and 0 < value < largest else None


def _whole(value: Any) -> Any:
    """Return a number of an image or category; 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refuse_corners(part: WrittenPart) -> None:
    """Raise RequestError if the boxes are x0, y0, x1, y1: as x, y, width, height most would stick out."""
    finite = np.isfinite(part.boxes).all(1)
    limits, corners = part.stated[part.owners][finite], part.boxes[finite]
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])  # as they are written
    if not limits.all():
        return
    sticks_out = (corners[:, 2:] > limits + 1).any(1)
    are_corners = (boxes[:, 2:] > boxes[:, :2]).all(1) & (boxes[:, 2:] <= limits + 1).all(1)
    if 2 * sticks_out.sum() > len(boxes) and are_corners.all():
        raise RequestError(
            f"{part.source}: {sticks_out.sum():,} of {len(boxes):,} boxes stick out of their images, and all "
            "fit as x0, y0, x1, y1: COCO has x, y, width, height. Subtract x0 from x1 and y0 from y1"
        )
