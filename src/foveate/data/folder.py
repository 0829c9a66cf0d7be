"""Read a folder in ImageFolder layout: one folder per class, inside train, val and test or directly."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from foveate.data.images import UnreadableImageError
from foveate.data.label_files import Labelled, read_label_files
from foveate.data.notes import Note
from foveate.data.part_folders import Found, find_parts
from foveate.data.part_names import roles_among
from foveate.data.parts import Part, Source
from foveate.data.tree import EXTENSIONS, Tree, scan
from foveate.errors import RequestError, shortened

__all__ = ["EXTENSIONS", "FileImages", "files_identity", "files_stamps", "held_out_images", "read_folder"]


class FileImages:
    """Image files below a root, by their relative names.

    `stamps`, int64 (N, 2), are size in bytes and modification time in ns of each file when the set was
    opened. A file whose stamps are different when it is read was changed.
    """

    def __init__(self, root: Path, files: list[str], stamps: np.ndarray | None = None) -> None:
        self.root, self.files, self.stamps = root, files, stamps

    def __getitem__(self, row: int) -> Path:
        """Return the file of a row, or raise UnreadableImageError if it was changed or removed."""
        path = self.root / self.files[row]
        if self.stamps is not None and (change := self.change(row)):
            raise UnreadableImageError(change)
        return path

    def where(self, row: int) -> str:
        """Return the path of the file."""
        return str(self.root / self.files[row])

    def change(self, row: int) -> str | None:
        """Return what happened to the file of a row since the set was opened, or None."""
        assert self.stamps is not None
        try:
            found = (self.root / self.files[row]).stat()
        except FileNotFoundError:
            return "it was removed after the set was opened"
        except OSError as error:
            return error.strerror or str(error)
        if [found.st_size, found.st_mtime_ns] != self.stamps[row].tolist():
            return "it was changed after the set was opened"
        return None


def files_stamps(root: Path, files: Iterable[str]) -> np.ndarray:
    """Return size in bytes and modification time in ns of each file, int64 (N, 2).

    Raises:
        RequestError: a file or its folder cannot be read.
    """
    try:
        found = [(root / name).stat() for name in files]
    except OSError as error:
        raise RequestError(f"{error.filename} cannot be read: {error.strerror}") from error
    return np.array([(one.st_size, one.st_mtime_ns) for one in found], dtype=np.int64).reshape(-1, 2)


def files_identity(root: Path, files: Iterable[str], stamps: np.ndarray | None = None) -> str:
    """Hash sorted relative names and sizes in bytes, which are the same for a copy of the folder.

    The content of the files is not hashed. `stamps` are those of `files_stamps`, if they are known.
    """
    files = list(files)
    sizes = (files_stamps(root, files) if stamps is None else stamps)[:, 0].tolist()
    digest = hashlib.sha256()
    for name, size in sorted(zip(files, sizes, strict=True)):
        digest.update(os.fsencode(name) + f"\0{size}\n".encode())
    return digest.hexdigest()


def read_folder(root: Path, image_column: str | None = None, label_column: str | None = None) -> Source:
    """Find parts, classes (sorted by name) and images below `root`.

    Where CSV files list the images with labels (see `read_label_files`), the labels are theirs, unless they
    are the names of the images' folders.

    Hidden files and folders (their names start with a dot, or with __ for folders), files without an image
    extension, broken links and folders without images are excluded; the notes name them.

    Raises:
        RequestError: no images in this layout, a folder that cannot be read, or folders that may be parts or
            classes (see `find_parts`).
    """
    tree = scan(root)
    found = _find(tree, image_column, label_column)
    if isinstance(found, Labelled):
        return _source(root, found.parts, found.classes, [*found.notes, *tree.notes()])
    notes = [*found.notes]
    others = sum(
        (folder.others_below() for part in found.parts.values() for folder in part.values()), Counter[str]()
    )
    if others:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common(5))
        said = f"Files without a known image extension were excluded: {kinds}."
        notes.append(Note(said, is_exclusion=True))
    notes += tree.notes()

    if list(found.parts) == ["train"] and (beside := _part_beside(root)):
        notes.append(beside)
    classes = sorted({name for part in found.parts.values() for name in part})
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for role, part in found.parts.items():
        files = [(file, class_) for class_ in classes if class_ in part for file in part[class_].below()]
        parts[role] = [file for file, _ in files], [class_ for _, class_ in files]
    return _source(root, parts, classes, notes)


def _find(tree: Tree, image_column: str | None = None, label_column: str | None = None) -> Found | Labelled:
    """Return the class folders of a tree, or the images that its CSV files list with labels.

    Raises:
        RequestError: there are neither.
    """
    found: Found | RequestError
    classes: set[str] = set()
    try:
        found = find_parts(tree)
        classes = {name for part in found.parts.values() for name in part}
    except RequestError as error:
        found = error
    listed, unused = read_label_files(tree, image_column, label_column, has_classes=len(classes) > 1)
    if listed is not None:
        return listed._replace(notes=[*listed.notes, *unused])
    if len(classes) == 1 and unused:
        found = RequestError(f"{tree.path} has one class, {min(classes)!r}: classifying needs at least two")
    if isinstance(found, RequestError):
        said = " ".join(note.text for note in unused)
        raise RequestError(f"{found}. {said.removesuffix('.')}") if said else found
    return found._replace(notes=[*found.notes, *unused])


def _part_beside(root: Path) -> Note | None:
    """Note that the folder is one part of a set whose other parts lie beside it, by their names."""
    try:
        names = [path.name for path in root.parent.iterdir() if path.is_dir()]
    except OSError:
        return None
    roles = roles_among(names)
    others = sorted(name for name, role in roles.items() if role != roles.get(root.name))
    if root.name not in roles or not others:
        return None
    return Note(
        f"{root.name} lies beside {shortened(others)}, by their names parts of the same set: give "
        f"{root.parent} to use them."
    )


def _source(
    root: Path, listed: Mapping[str, tuple[list[str], list[str]]], classes: Sequence[str], notes: list[Note]
) -> Source:
    """Return the source of images that are listed with their classes, by the role of their part."""
    number = {name: index for index, name in enumerate(classes)}
    names: list[str] = []
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for role, (of_part, labels) in listed.items():
        start = len(names)
        names += of_part
        numbers = np.array([number[label] for label in labels], dtype=np.int64)
        rows[role] = np.arange(start, len(names)), numbers
    stamps = files_stamps(root, names)
    images = FileImages(root, names, stamps)
    parts = {role: Part(images, *given) for role, given in rows.items()}
    identity = files_identity(root, names, stamps)
    times = hashlib.sha256(stamps.astype("<i8").tobytes()).hexdigest()
    return Source(root.name, parts, classes, identity, notes, int(stamps[:, 0].sum()), times)


def held_out_images(
    root: Path, image_column: str | None = None, label_column: str | None = None
) -> list[str]:
    """Return the sorted names, relative to `root`, of the images in its test and validation parts.

    The columns are those of CSV files of labels, as in `read_folder`.

    It is empty if no part is called train: such a set is split by fraction, and any image may be trained on.
    """
    found = _find(scan(root), image_column, label_column)
    if isinstance(found, Labelled):
        names = {role: files for role, (files, _) in found.parts.items()}
    else:
        names = {role: [n for f in part.values() for n in f.below()] for role, part in found.parts.items()}
    if "train" not in names or len(names) == 1:
        return []
    return sorted(name for role, files in names.items() if role != "train" for name in files)
