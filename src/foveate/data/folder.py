"""A folder in ImageFolder layout: a folder a class, below train, val and test or without them."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from foveate.data.parts import Part, Source, role_of
from foveate.errors import RequestError

__all__ = ["EXTENSIONS", "FileImages", "files_identity", "images_below", "read_folder"]

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


class FileImages:
    """Image files below a root, by their relative names."""

    def __init__(self, root: Path, files: list[str]) -> None:
        self.root, self.files = root, files

    def __getitem__(self, row: int) -> Path:
        return self.root / self.files[row]

    def where(self, row: int) -> str:
        """The file's path."""
        return str(self.root / self.files[row])


def files_identity(root: Path, files: Iterable[str]) -> str:
    """Hash sorted relative names and sizes in bytes: the same for a copy of the folder elsewhere."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(os.fsencode(name) + f"\0{(root / name).stat().st_size}\n".encode())
    return digest.hexdigest()


def read_folder(root: Path) -> Source:
    """Find parts, classes (sorted by name) and images below `root`; files that start with a dot are ignored.

    Raises:
        RequestError: no images in this layout, or two folders for the same part.
    """
    others: Counter[str] = Counter()
    listed = {
        role: {found.name: images_below(root, found, others) for found in _subfolders(folder)}
        for role, folder in _part_folders(root).items()
    }
    filled = {role: files for role, files in listed.items() if any(files.values())}
    if not filled or ("train" in listed and "train" not in filled):
        raise _no_images(root)
    notes = [
        f"The {role} part was left out: it has no images in class folders."
        for role in listed
        if role not in filled
    ]
    if others:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common(5))
        notes.append(f"Files that are no images by their extension were left out: {kinds}.")

    classes = sorted({name for files in filled.values() for name, below in files.items() if below})
    names: list[str] = []
    parts = {}
    for role, files in filled.items():
        start = len(names)
        names += [name for class_ in classes for name in files.get(class_, ())]
        counts = [len(files.get(class_, ())) for class_ in classes]
        labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)
        parts[role] = Part(FileImages(root, names), np.arange(start, len(names)), labels)
    return Source(root.name, parts, classes, files_identity(root, names), notes)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def _part_folders(root: Path) -> dict[str, Path]:
    """The folder of each part.

    Without a training folder, and with folders beside that are no parts, all folders are classes of one part.
    """
    folders = _subfolders(root)
    roles: dict[str, Path] = {}
    for folder in folders:
        if role := role_of(folder.name):
            if role in roles:
                raise RequestError(
                    f"{root}: both {roles[role].name} and {folder.name} are its {role} part: keep one of them"
                )
            roles[role] = folder
    return roles if "train" in roles or len(roles) == len(folders) > 0 else {"train": root}


def images_below(root: Path, folder: Path, others: Counter[str]) -> list[str]:
    """Sorted names, relative to the root, of the images in a folder at any depth; counts other files."""
    images = []
    for file in folder.rglob("*"):
        hidden = any(name.startswith(".") for name in file.relative_to(folder).parts)
        if hidden or not file.is_file():
            continue
        if file.suffix.lower() in EXTENSIONS:
            images.append(file.relative_to(root).as_posix())
        else:
            others[file.suffix.lower() or file.name] += 1
    return sorted(images)


def _no_images(root: Path) -> RequestError:
    loose = sum(file.suffix.lower() in EXTENSIONS for file in root.iterdir())
    found = f"{loose:,} images lie in it directly, but" if loose else "there are"
    return RequestError(
        f"{root}: {found} no images in class folders. Expected CLASS/IMAGE, or train/CLASS/IMAGE with "
        "test/CLASS/IMAGE or val/CLASS/IMAGE beside it, or *.parquet files; "
        f"an image ends in {', '.join(sorted(EXTENSIONS))}"
    )
