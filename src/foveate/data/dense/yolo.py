"""Read images with boxes in YOLO's format: a YAML file of parts and names, a text file for each image.

A row is `class cx cy w h`, with the centre and the size of the box as fractions of the image's width and
height, or `class x y x y …`, a polygon, of which the box around it is read.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foveate.data.dense.listing import Folders
from foveate.data.dense.written import WrittenPart, WrittenSet, as_rows
from foveate.data.notes import Note
from foveate.data.parts import role_of
from foveate.data.tree import is_image, scan
from foveate.errors import RequestError, shortened
from foveate.names import cleaned
from foveate.yaml_text import read_yaml

__all__ = ["has_yolo", "read_yolo"]

USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
KEYS = re.compile(r"^(names|train)\s*:", re.MULTILINE)
LONGEST_PEEK = 1 << 18
"""Characters of a YAML file in which its keys are looked for; a thousand names come before them at most."""
BOX_NUMBERS = 5
"""Numbers in the row of a box."""
SMALLEST_POLYGON = 7
"""Numbers in the row of a polygon of three points."""
PARTS = ("train", "val", "test")


class _Description(NamedTuple):
    """What the YAML file of a set says: its name, classes, and whether rows have keypoints after the box."""

    name: str
    classes: tuple[str, ...]
    has_keypoints: bool


class _Row(NamedTuple):
    """A row of a label file: its class and its box, x0, y0, x1, y1 as fractions."""

    label: int
    box: tuple[float, float, float, float]


def has_yolo(root: Path) -> bool:
    """Return whether a folder has a YAML file with the names and parts of a YOLO set."""
    return bool(_descriptions(root))


def read_yolo(root: Path) -> WrittenSet:
    """Read the label files of a set; an image without a label file has no boxes.

    Raises:
        RequestError: no clear YAML file; a part without images; a row that is no box or polygon; a class
            without a name; coordinates in pixels.
    """
    found = _descriptions(root)
    usual = [path for path in found if path.name in USUAL]
    if len(usual or found) > 1:
        raise RequestError(
            f"{root}: {shortened(path.name for path in usual or found)} may all describe the set: keep one, "
            "called data.yaml"
        )
    file = (usual or found)[0]
    content = read_yaml(file, names_only=True)
    if not isinstance(content, dict):
        raise RequestError(f"{file.name}: expected keys train, val and names")
    description = _Description(file.name, _classes(file.name, content), "kpt_shape" in content)
    base = _base(root, content.get("path"))
    notes: list[Note] = []
    folders = Folders()
    parts: dict[str, WrittenPart] = {}
    for key in PARTS:
        role = role_of(key)
        assert role is not None
        values = _values(file.name, key, content.get(key))
        images = [path for value in values for path in _images(root, base, value)]
        if values and not images:
            if role != "test":
                raise RequestError(
                    f"{file.name}: there are no images in {shortened(values)}, its {role} part: correct "
                    f"`{key}`, or `path`, which are relative to {root}"
                )
            said = f"{file.name} names {shortened(values)} as its {role} part, where there are no images: "
            notes.append(Note(f"{said}the part was excluded.", is_exclusion=True))
            continue
        if not images:
            continue
        part = _part(root, f"{key} of {file.name}", images, description, folders)
        if not len(part.boxes) and role == "test" and parts:
            said = f"The images of the test part have no labels and were excluded ({len(images):,})."
            notes.append(Note(said, is_exclusion=True))
            continue
        parts[role] = part
    if not parts:
        raise RequestError(f"{file.name} names no part: give the folder of images as `train`, and as `val`")
    return WrittenSet(root.name, parts, description.classes, range(len(description.classes)), notes)


def _descriptions(root: Path) -> list[Path]:
    """Return the YAML files in a folder that have the keys `names` and `train`."""
    found = []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in (".yaml", ".yml") and path.is_file() and not path.name.startswith("."):
            with path.open(encoding="utf-8", errors="replace") as file:
                keys = set(KEYS.findall(file.read(LONGEST_PEEK)))
            if len(keys) == 2:
                found.append(path)
    return found


def _classes(name: str, content: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes, given as a list, or by their numbers from 0."""
    names, count = content.get("names"), content.get("nc")
    if isinstance(names, dict) and all(isinstance(key, str) and key.isdecimal() for key in names):
        numbers = {int(key): value for key, value in names.items()}
        if sorted(numbers) != list(range(len(names))):
            raise RequestError(
                f"{name}: the numbers of its names are {shortened(sorted(numbers), 12)}: expected 0 to "
                f"{len(names) - 1}"
            )
        names = [numbers[k] for k in range(len(numbers))]
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
        raise RequestError(f"{name}: expected `names` as a list, or as a mapping of numbers from 0 to names")
    if count is not None and count != str(len(names)):
        raise RequestError(
            f"{name}: `nc` is {count}, and `names` has {len(names)} classes: correct one of them"
        )
    titles = tuple(map(cleaned, names))
    if twice := sorted({one for one in titles if titles.count(one) > 1}):
        raise RequestError(f"{name}: {shortened(twice)} is the name of several classes: rename them")
    return titles


def _values(name: str, key: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value] if value not in (None, "", "null", "~") else []
    if not all(isinstance(one, str) and one for one in values):
        raise RequestError(f"{name}: expected `{key}` to be a folder, a list of folders, or a text file")
    return values


def _base(root: Path, path: Any) -> Path:
    """Return the folder of the key `path` if it is there, or that of the YAML file, as after a move."""
    base = root / path if isinstance(path, str) and path else root
    return base if os.path.isdir(base) else root  # noqa: PTH112 (any text)


def _images(root: Path, base: Path, value: str) -> list[Path]:
    """Return the images of a part: those below a folder, or those that a text file lists."""
    # Roboflow writes ../train/images for the folder train/images beside the YAML file.
    places = [base / value, root / value, root / value.removeprefix("../")]
    place = next((path for path in places if os.path.exists(path)), None)  # noqa: PTH110 (any text)
    if place is None:
        return []
    if place.is_dir():
        return [place / name for name in scan(place).root.below()]
    try:
        lines = place.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{place} cannot be read as a list of images: {error}") from error
    names = [line.strip() for line in lines if line.strip()]
    folders = Folders()
    found = [_listed(name, (place.parent, base, root), folders) for name in names]
    if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
        raise RequestError(
            f"{place.name} lists {len(missing):,} of {len(names):,} images that are not there: "
            f"{shortened(missing)}. Add them, or remove their lines"
        )
    return [path for path in found if path is not None]


def _listed(name: str, bases: Sequence[Path], folders: Folders) -> Path | None:
    for base in bases:
        path = base / name
        if is_image(name) and path.name in folders.names(path.parent):
            return path
    return None


def _part(
    root: Path, source: str, images: Sequence[Path], description: _Description, folders: Folders
) -> WrittenPart:
    labels, boxes, owners, places = [], [], [], []
    for owner, image in enumerate(images):
        path = _label_file(root, image, folders)
        if path is None:
            continue
        for line, row in _rows(path, _relative(path, root), description):
            labels.append(row.label)
            boxes.append(row.box)
            owners.append(owner)
            places.append((path, line))
    corners = as_rows(boxes, 4, np.float64)
    finite = corners[np.isfinite(corners).all(1)]
    if len(finite) and (finite.max(1) > 2).all():
        first = f"{_relative(places[0][0], root)}, line {places[0][1]}"
        raise RequestError(
            f"{source}: the coordinates of all boxes are larger than 1 ({first}): they are in pixels, and "
            "YOLO has fractions of width and height. Divide by those"
        )
    return WrittenPart(
        source=source,
        images=images,
        ids=range(1, len(images) + 1),
        stated=np.zeros((len(images), 2), dtype=np.int64),
        owners=np.array(owners, dtype=np.int64),
        boxes=corners,
        labels=np.array(labels, dtype=np.int64),
        areas=np.full(len(corners), np.nan),
        crowd=np.zeros(len(corners), dtype=bool),
        where=lambda k: f"{_relative(places[k][0], root)}, line {places[k][1]}",
        normalised=True,
    )


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _label_file(root: Path, image: Path, folders: Folders) -> Path | None:
    """Return the text file of an image: in `labels` for the last folder `images`, or beside the image."""
    parts = image.parent.parts
    last = max((k for k, part in enumerate(parts) if part == "images"), default=None)
    folder = image.parent if last is None else Path(*parts[:last], "labels", *parts[last + 1 :])
    name = f"{image.stem}.txt"
    return folder / name if name in folders.names(folder) else None


def _rows(path: Path, name: str, description: _Description) -> list[tuple[int, _Row]]:
    """Return the rows of a label file with the numbers of their lines."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{name} cannot be read as text: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if words := line.split():
            found.append((number, _row(words, f"{name}, line {number}", description)))
    return found


def _row(words: Sequence[str], where: str, description: _Description) -> _Row:
    try:
        number, *values = map(float, words)
    except ValueError as error:
        raise RequestError(
            f"{where}: {' '.join(words)[:60]!r} has something else than numbers: expected class cx cy w h"
        ) from error
    count = len(description.classes)
    if not (0 <= number < count and number == int(number)):
        raise RequestError(
            f"{where}: the class is {words[0]}, and {description.name} names {count} classes, 0 to "
            f"{count - 1}: correct the row, or add the name"
        )
    if len(words) == BOX_NUMBERS or (description.has_keypoints and len(words) > BOX_NUMBERS):
        cx, cy, width, height = values[:4]
        return _Row(int(number), (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2))
    if len(words) < SMALLEST_POLYGON or len(words) % 2 == 0:
        raise RequestError(
            f"{where} has {len(words)} numbers: expected 5, class cx cy w h, or those of a polygon, "
            "class x y x y x y …"
        )
    xs, ys = values[0::2], values[1::2]
    if not all(map(np.isfinite, values)):
        return _Row(int(number), (np.nan, np.nan, np.nan, np.nan))
    return _Row(int(number), (min(xs), min(ys), max(xs), max(ys)))
