"""Read images with boxes in the format of Pascal VOC: an XML file for each image.

Everingham et al. 2010, and the annotation guidelines of the challenge: coordinates count pixels from 1, and
the pixels xmin to xmax belong to the box. Here that is x0 = xmin - 1 and x1 = xmax.

Objects that are marked as difficult are kept as crowds. VOC's evaluation counts a detection of a difficult
object neither as right nor as wrong, and does not ask for one; that is what COCO's does with crowds. (The
two differ in the overlap: with a crowd it is divided by the area of the detection alone.)
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from foveate.data.dense.box_checks import refuse_fractions
from foveate.data.dense.listing import Folders, refuse_missing
from foveate.data.dense.written import WrittenPart, WrittenSet, as_rows
from foveate.data.notes import Note
from foveate.data.parts import role_of
from foveate.data.tree import is_image
from foveate.errors import RequestError, shortened
from foveate.names import cleaned

__all__ = ["has_voc", "read_voc"]

LARGEST = 1 << 24
"""Maximum bytes of an XML file, which describes one image."""
PEEKED = 4096
"""Bytes of a file, and below files of a folder, in which the element `annotation` is looked for."""
PEEKED_FILES = 8
SIDES = ("xmin", "ymin", "xmax", "ymax")
TRAINVAL = "trainval"
"""VOC's list of the training and validation part together."""


class _Layout(NamedTuple):
    """The XML files of a part by their stems, and the folder of their images."""

    files: dict[str, Path]
    images: Path


class _Described(NamedTuple):
    """What the XML file of one image says."""

    file_name: str
    size: tuple[int, int]
    classes: list[str]
    boxes: list[tuple[float, ...]]
    difficult: list[bool]


def has_voc(root: Path) -> bool:
    """Return whether a folder has VOC's XML files, in Annotations or beside the images of parts."""
    folders = [*_named(root, "annotations"), *_part_folders(root)]
    return any(_is_voc(path) for folder in folders for path in islice(folder.glob("[!.]*.xml"), PEEKED_FILES))


def read_voc(root: Path) -> WrittenSet:
    """Read the XML files of a set and find its images.

    The parts are those of ImageSets/Main, or folders train, val and test with images and XML files; without
    either there is one part. An image is the one with the name of its XML file, or the one that this names.

    Raises:
        RequestError: a file that is no XML or has a DOCTYPE; an object without a class or box; images or XML
            files that are missing; normalised coordinates.
    """
    folders = Folders()
    notes: list[Note] = []
    parts: dict[str, tuple[str, list[Path], Path]] = {}
    if annotations := _named(root, "annotations"):
        images = (_named(root, "jpegimages") or _named(root, "images") or [annotations[0]])[0]
        layout = _Layout(_files(annotations[0]), images)
        for role, (name, files) in _listed(root, layout, notes).items():
            parts[role] = name, files, images
    else:
        for folder in _part_folders(root):
            role = role_of(folder.name) or ""
            if files := list(_files(folder).values()):
                if role in parts:
                    both = f"{parts[role][0]} and {folder.name}"
                    raise RequestError(f"{root}: {both} are both its {role} part: keep one of them")
                images = (_named(folder, "images") or [folder])[0]
                parts[role] = folder.name, files, images
    described = {role: [_parse(path, root) for path in files] for role, (_, files, _) in parts.items()}
    classes = sorted({name for part in described.values() for one in part for name in one.classes})
    written = {role: _part(root, *parts[role], part, classes, folders) for role, part in described.items()}
    if unused := folders.unused(path for part in written.values() for path in part.images):
        said = f"Images without an XML file, or in no list, were excluded ({len(unused):,}): "
        notes.append(Note(f"{said}{shortened(unused)}.", is_exclusion=True))
    return WrittenSet(root.name, written, classes, range(1, len(classes) + 1), notes)


def _named(root: Path, name: str) -> list[Path]:
    """Return the folders in `root` with this name in small or capital letters."""
    return sorted(path for path in root.iterdir() if path.name.lower() == name and path.is_dir())


def _part_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if role_of(path.name) and path.is_dir())


def _is_voc(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<annotation" in file.read(PEEKED).replace(b"\0", b"")  # UTF-16 too


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("[!.]*.xml"))}


def _listed(root: Path, layout: _Layout, notes: list[Note]) -> dict[str, tuple[str, list[Path]]]:
    """Return the XML files of each part, with the name of the list that has them."""
    lists: dict[str, Path] = {}
    for path in sorted(root.glob("ImageSets/Main/*.txt")):
        role = path.stem if path.stem == TRAINVAL else role_of(path.stem)
        if role in lists:
            both = f"{lists[role].name} and {path.name}"
            raise RequestError(f"{root}: {both} in ImageSets/Main are both its {role} part: keep one")
        if role:
            lists[role] = path
    together = lists.pop(TRAINVAL, None)
    if together and "train" not in lists:
        lists["train"] = together
        lists.pop("validation", None)  # which is part of it
    if not lists:
        return {"train": ("Annotations", list(layout.files.values()))}
    found: dict[str, tuple[str, list[Path]]] = {}
    for role, path in sorted(lists.items()):
        name = str(path.relative_to(root))
        stems = _stems(path, layout.files)
        missing = [stem for stem in stems if stem not in layout.files]
        if len(missing) == len(stems) and role == "test" and len(lists) > 1:
            said = f"The images of {name} have no annotations and were excluded ({len(stems):,})."
            notes.append(Note(said, is_exclusion=True))
            continue
        if not stems:
            raise RequestError(f"{name} lists no images: add them, or remove the file")
        if missing:
            raise RequestError(
                f"{name} lists {len(missing):,} of {len(stems):,} images that have no XML file in "
                f"Annotations: {shortened(missing)}. Add the files, or remove these lines"
            )
        found[role] = name, [layout.files[stem] for stem in stems]
    return found


def _stems(path: Path, known: Mapping[str, Path]) -> list[str]:
    """Return the names in a list, a line each; what stands behind a name, as 1 or -1, is not read."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read as text: {error}") from error
    return [line if line in known else line.split()[0] for line in lines if line]


def _parse(path: Path, root: Path) -> _Described:
    """Read the XML file of one image."""
    name = str(path.relative_to(root))
    content = _content(path, name)
    try:
        top = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise RequestError(f"{name} is not XML: {error}. Write it again") from error
    classes, boxes, difficult = [], [], []
    for number, one in enumerate(top.findall("object"), start=1):
        where = f"{name}, object {number}"
        title = (one.findtext("name") or "").strip()
        if not title:
            raise RequestError(f"{where} has no name: give its class, as in <name>dog</name>")
        sides = [one.findtext(f"bndbox/{side}") for side in SIDES]
        try:
            boxes.append(tuple(float(side or "") for side in sides))
        except ValueError as error:
            found = ", ".join(f"{side} {value}" for side, value in zip(SIDES, sides, strict=True))
            raise RequestError(
                f"{where}: its bndbox has {found}: expected xmin, ymin, xmax and ymax in pixels"
            ) from error
        classes.append(cleaned(title))
        difficult.append((one.findtext("difficult") or "").strip() == "1")
    size = _side(top.findtext("size/width")), _side(top.findtext("size/height"))
    return _Described((top.findtext("filename") or "").strip(), size, classes, boxes, difficult)


def _content(path: Path, name: str) -> bytes:
    """Return the bytes of an XML file without a DOCTYPE, in which entities could be defined."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise RequestError(f"{name} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise RequestError(f"{name} has more than {LARGEST:,} bytes: expected the boxes of one image")
    if b"<!DOCTYPE" in content.replace(b"\0", b""):  # UTF-16 too
        raise RequestError(f"{name} has a DOCTYPE, which annotations of VOC do not have: remove it")
    return content


def _side(text: str | None) -> int:
    """Return a width or height, or 0 if none is stated."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0
    return int(value) if 0 < value < 2**31 else 0


def _part(
    root: Path,
    source: str,
    files: Sequence[Path],
    images: Path,
    described: Sequence[_Described],
    classes: Sequence[str],
    folders: Folders,
) -> WrittenPart:
    number = {name: index for index, name in enumerate(classes)}
    by_stem: dict[str, list[str]] = {}
    for name in folders.images(images):
        by_stem.setdefault(Path(name).stem, []).append(name)
    found = [
        _image(images, path.stem, one.file_name, by_stem) for path, one in zip(files, described, strict=True)
    ]
    wanted = [one.file_name or path.stem for path, one in zip(files, described, strict=True)]
    place = str(images.relative_to(root))
    counts = [len(one.classes) for one in described]
    places = [(k, object_) for k, count in enumerate(counts) for object_ in range(1, count + 1)]
    corners = as_rows([box for one in described for box in one.boxes], 4, np.float64)
    refuse_fractions(source, corners, "Pascal VOC")
    return WrittenPart(
        source=source,
        images=refuse_missing(source, wanted, found, place),
        ids=range(1, len(files) + 1),
        stated=as_rows([one.size for one in described], 2, np.int64),
        owners=np.repeat(np.arange(len(files)), counts),
        boxes=corners - (1, 1, 0, 0),
        labels=np.array([number[name] for one in described for name in one.classes], dtype=np.int64),
        areas=np.full(len(corners), np.nan),
        crowd=np.array([mark for one in described for mark in one.difficult], dtype=bool),
        where=lambda k: f"{files[places[k][0]].relative_to(root)}, object {places[k][1]}",
    )


def _image(folder: Path, stem: str, file_name: str, by_stem: Mapping[str, Sequence[str]]) -> Path | None:
    """Return the image of an XML file: the one with its name; else, or of several, the one that it names."""
    same = by_stem.get(stem, [])
    if len(same) == 1:
        return folder / same[0]
    named = Path(file_name.replace("\\", "/")).name
    if named in (same or by_stem.get(Path(named).stem, [])) and is_image(named):
        return folder / named
    if len(same) > 1:
        raise RequestError(
            f"{folder}: {shortened(same)} have the same name but for the ending, and {stem}.xml does not say "
            "which it describes: keep one of them"
        )
    return None
