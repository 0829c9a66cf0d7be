"""Find the annotation files of a set in COCO's format, their parts, and the folders of their images."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from foveate.data.notes import Note
from foveate.data.part_names import roles_among
from foveate.data.parts import role_of
from foveate.errors import RequestError, shortened

__all__ = ["CocoFile", "CocoFiles", "find_coco_files", "has_coco"]

ROBOFLOW = "_annotations.coco.json"
INSTANCES = "instances_"
UNANNOTATED = "image_info_"
OTHER_TASKS = ("captions_", "panoptic_", "stuff_", "person_keypoints_", UNANNOTATED)
"""Beginnings of the names of COCO's files that have no boxes of all classes."""
PEEKED = 1 << 16
"""Bytes at both ends of a file in which a key of the format is looked for."""
KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
MOST_FILES = 32
"""Number of JSON files in a folder above which only those with names of parts are opened: other formats have
a JSON file for each image."""


class CocoFile(NamedTuple):
    """An annotation file.

    Attributes:
        path: of the file.
        role: of its part.
        bases: folders below which its images may lie, the likeliest first.
    """

    path: Path
    role: str
    bases: tuple[Path, ...]


class CocoFiles(NamedTuple):
    """The annotation files of a set, the training part first, and notes on files that were not used."""

    files: tuple[CocoFile, ...]
    notes: tuple[Note, ...]


def has_coco(root: Path) -> bool:
    """Return whether a folder has annotation files of COCO's format, without reading them whole."""
    return any(_candidates(folder) for folder in _annotation_folders(root)) or any(
        _candidates(folder) for folder in _part_folders(root)
    )


def find_coco_files(root: Path) -> CocoFiles:
    """Find the annotation files of a set: for each part a file, or a file in the folder of each part.

    Raises:
        RequestError: two files for the same part, or several files without a part.
    """
    found = [path for folder in _annotation_folders(root) for path in _candidates(folder)]
    if found:
        return _files_of_parts(root, found)
    folders = {folder: role for folder, role in _part_folders(root).items() if _candidates(folder)}
    files = []
    for folder, role in folders.items():
        inside = _candidates(folder)
        if len(inside) > 1:
            raise RequestError(
                f"{root}: the folder {folder.name} has {len(inside)} annotation files, "
                f"{shortened(path.name for path in inside)}: keep one of them"
            )
        files.append(CocoFile(inside[0], role, (folder, folder / "images", folder / "data", root)))
    return CocoFiles(_one_for_each(root, files), ())


def _annotation_folders(root: Path) -> list[Path]:
    below = sorted(path for path in root.iterdir() if path.name.lower() == "annotations" and path.is_dir())
    return [root, *below]


def _part_folders(root: Path) -> dict[Path, str]:
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    roles = roles_among([folder.name for folder in folders])
    return {folder: roles[folder.name] for folder in folders if folder.name in roles}


def _candidates(folder: Path) -> list[Path]:
    """Return the sorted files of COCO's format that are directly in a folder."""
    found = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(OTHER_TASKS)]
    if len(found) > MOST_FILES:
        found = [path for path in found if role_of(path.stem) or _has_usual_name(path)]
    found = [path for path in found if path.is_file() and _looks_like_coco(path)]
    return [path for path in found if _has_usual_name(path)] or found


def _has_usual_name(path: Path) -> bool:
    return path.name == ROBOFLOW or path.name.startswith(INSTANCES)


def _looks_like_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(PEEKED)
            if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
                return False
            file.seek(max(path.stat().st_size - PEEKED, 0))
            return KEYS.search(start) is not None or KEYS.search(file.read(PEEKED)) is not None
    except OSError:
        return False


def _files_of_parts(root: Path, found: Sequence[Path]) -> CocoFiles:
    notes = []
    if others := sorted({path for one in found for path in one.parent.glob(f"{UNANNOTATED}*.json")}):
        named = shortened(path.name for path in others)
        said = f"Images without annotations, which COCO's server tests, were excluded: those of {named}."
        notes.append(Note(said, is_exclusion=True))
    names = {path: path.stem.removeprefix(INSTANCES) for path in found}
    roles = roles_among(list(names.values()))
    images = root / "images"
    parts = _part_folders(root) | (_part_folders(images) if images.is_dir() else {})
    files = []
    for path, name in names.items():
        role = roles.get(name) or ("train" if len(found) == 1 else None)
        if role is None:
            continue
        own = [folder for folder, of in parts.items() if of == role]
        bases = (
            *(root / name, images / name, *own, images),
            *(root / name / "images", path.parent, root, root / "data"),
        )
        files.append(CocoFile(path, role, tuple(dict.fromkeys(bases))))
    if not files:
        raise RequestError(
            f"{root}: the names of {shortened(path.name for path in found)} do not say which part each is: "
            "rename them to train.json and val.json (or test.json)"
        )
    if strangers := [path.name for path, name in names.items() if name not in roles and len(found) > 1]:
        said = f"Annotation files without the name of a part were excluded: {shortened(strangers)}."
        notes.append(Note(said, is_exclusion=True))
    return CocoFiles(_one_for_each(root, files), tuple(notes))


def _one_for_each(root: Path, files: Sequence[CocoFile]) -> tuple[CocoFile, ...]:
    by_role: dict[str, CocoFile] = {}
    for one in files:
        if one.role in by_role:
            both = [str(path.relative_to(root)) for path in (by_role[one.role].path, one.path)]
            raise RequestError(f"{root}: {both[0]} and {both[1]} are both its {one.role} part: keep one")
        by_role[one.role] = one
    return tuple(by_role[role] for role in ("train", "validation", "test") if role in by_role)
