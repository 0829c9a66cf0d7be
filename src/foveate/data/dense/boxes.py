"""Find and read images with boxes: COCO's JSON, Pascal VOC's XML, or YOLO's text files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from foveate.data.dense.annotated import BoxSource
from foveate.data.dense.coco import read_coco
from foveate.data.dense.coco_files import has_coco
from foveate.data.dense.gathered import gather
from foveate.data.dense.voc_boxes import has_voc, read_voc
from foveate.data.dense.written import WrittenSet
from foveate.data.dense.yolo import has_yolo, read_yolo
from foveate.data.notes import Note
from foveate.errors import RequestError

__all__ = ["BoxFormat", "find_boxes", "read_boxes"]

BoxFormat = Literal["coco", "voc", "yolo"]

FORMATS: Mapping[BoxFormat, tuple[Callable[[Path], bool], Callable[[Path], WrittenSet]]] = {
    "coco": (has_coco, read_coco),
    "yolo": (has_yolo, read_yolo),
    "voc": (has_voc, read_voc),
}
"""How each format is found and read; of several in a folder, the first is read."""

NAMES = {"coco": "COCO (JSON)", "yolo": "YOLO (a YAML file and text files)", "voc": "Pascal VOC (XML)"}
DEEPEST = 3
"""Folders that may lie around a set, as in VOCdevkit/VOC2012."""


def find_boxes(root: Path) -> BoxFormat | None:
    """Return the format of the boxes in a folder, or None; no image is opened, and no file read whole.

    A folder that holds nothing but one folder stands for that one.

    Raises:
        RequestError: the folder cannot be read.
    """
    return next(iter(_formats(root)[1]), None)


def read_boxes(root: Path, *, refuse_invalid: bool = False) -> BoxSource:
    """Read a set of images with boxes, whose format is found.

    Boxes are in pixels of the images as `decode` returns them, with EXIF orientation applied. Invalid boxes
    (see `check_boxes`) are excluded with a note, or refused with `refuse_invalid`.

    Raises:
        RequestError: no known format, or a set that cannot be used; the message says what was expected.
    """
    inner, formats = _formats(root)
    if not formats:
        raise RequestError(
            f"{root}: there are no boxes in a known format. Expected train.json and val.json beside folders "
            "of images (COCO), Annotations/*.xml with JPEGImages (Pascal VOC), or data.yaml with images and "
            "labels (YOLO)"
        )
    _, read = FORMATS[formats[0]]
    source = gather(read(inner), refuse_invalid=refuse_invalid)
    notes = [*source.notes]
    if inner != root:
        notes.append(Note(f"All of the set lies in the folder {inner.relative_to(root)}, which was read."))
    if formats[1:]:
        others = " and ".join(NAMES[name] for name in formats[1:])
        notes.append(Note(f"The boxes were read as {NAMES[formats[0]]}; those as {others} were not read."))
    return BoxSource(source.name, source.parts, source.classes, source.categories, notes)


def _formats(root: Path) -> tuple[Path, list[BoxFormat]]:
    """Return the folder of the set, at or below `root`, and the formats of boxes in it."""
    folder = root
    try:
        for _ in range(DEEPEST):
            if formats := [name for name, (has, _) in FORMATS.items() if has(folder)]:
                return folder, formats
            inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
            folders = [path for path in inside if path.is_dir()]
            if len(folders) != 1:
                break
            folder = folders[0]
    except OSError as error:
        raise RequestError(f"the folder {error.filename} cannot be read: {error.strerror}") from error
    return root, []
