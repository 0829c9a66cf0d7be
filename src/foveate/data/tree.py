"""List what is below a folder: images, other files, and everything that is skipped."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from foveate.data.notes import Note
from foveate.errors import RequestError, shortened

__all__ = ["EXTENSIONS", "Folder", "Tree", "is_image", "scan"]

EXTENSIONS = frozenset(
    {
        *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
        *(".tif", ".tiff", ".webp"),
    }
)
SYSTEM_FOLDERS = frozenset({"lost+found"})
"""Folders that a file system creates for itself and that only root may read."""


@dataclass(frozen=True, eq=False)
class Folder:
    """One folder of a tree.

    Attributes:
        name: relative to the tree's root, with forward slashes; "." is the root itself.
        images: names, relative to the root, of the images directly in it.
        others: number of other files directly in it, by extension (or by name without one).
        folders: the folders in it, sorted by name.
    """

    name: str
    images: tuple[str, ...]
    others: Counter[str]
    folders: tuple["Folder", ...]

    @property
    def title(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]

    @cached_property
    def count(self) -> int:
        """Number of images in it, at any depth."""
        return len(self.images) + sum(folder.count for folder in self.folders)

    @cached_property
    def filled(self) -> tuple["Folder", ...]:
        """The folders in it that hold an image at any depth."""
        return tuple(folder for folder in self.folders if folder.count)

    def below(self) -> list[str]:
        """Return the sorted names, relative to the root, of its images at any depth."""
        return sorted(name for folder in self.walk() for name in folder.images)

    def walk(self) -> Iterator["Folder"]:
        """Yield it and all folders below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def others_below(self) -> Counter[str]:
        """Count the files at any depth that are not images, by extension."""
        return sum((folder.others for folder in self.walk()), Counter[str]())


@dataclass
class Tree:
    """A root with everything below it, and what was skipped.

    Attributes:
        hidden: folders and files whose names start with "." or "__", with the number of images in each.
        dangling: names of links without an existing target.
        circular: names of links to a folder that contains them.
    """

    path: Path
    root: Folder
    hidden: Counter[str] = field(default_factory=Counter)
    dangling: list[str] = field(default_factory=list)
    circular: list[str] = field(default_factory=list)

    def notes(self) -> list[Note]:
        """Return notes on what was skipped."""
        notes = []
        if self.hidden:
            named = shortened([f"{name} ({count:,})" for name, count in self.hidden.items()], 8)
            said = f"{self.hidden.total():,} images in hidden files and folders were excluded: {named}."
            notes.append(Note(said, is_exclusion=True))
        if self.dangling:
            said = f"Broken links were excluded ({len(self.dangling):,}): {shortened(self.dangling, 8)}."
            notes.append(Note(said, is_exclusion=True))
        if self.circular:
            named = shortened(self.circular, 8)
            notes.append(
                Note(f"Links to a folder above were not followed ({len(self.circular):,}): {named}.")
            )
        return notes


def scan(root: Path) -> Tree:
    """List everything below `root`. Links are followed, as timm does, except circular ones.

    Raises:
        RequestError: a folder cannot be read.
    """
    tree = Tree(root, Folder(".", (), Counter(), ()))
    tree.root = _read(tree, root, "", frozenset())
    return tree


def is_image(name: str) -> bool:
    """Return whether a file of this name has the extension of an image."""
    return PurePath(name).suffix.lower() in EXTENSIONS


def _read(tree: Tree, path: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Folder:
    images: list[str] = []
    others: Counter[str] = Counter()
    folders: list[Folder] = []
    try:
        found = path.stat()
        above = above | {(found.st_dev, found.st_ino)}
        with os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink() and not Path(entry.path).exists():
                tree.dangling.append(name)
            elif entry.is_dir():
                if entry.name.startswith((".", "__")) or entry.name in SYSTEM_FOLDERS:
                    _count_hidden(tree, Path(entry.path), name)
                elif _place(entry) in above:
                    tree.circular.append(name)
                else:
                    folders.append(_read(tree, Path(entry.path), name + "/", above))
            elif not entry.is_file():
                continue
            elif entry.name.startswith("."):
                # "._name.jpg" is not an image: macOS keeps the attributes of name.jpg in it.
                if is_image(entry.name) and not entry.name.startswith("._"):
                    tree.hidden[name] += 1
            elif is_image(entry.name):
                images.append(name)
            else:
                others[PurePath(entry.name).suffix.lower() or entry.name] += 1
    except OSError as error:
        raise RequestError(
            f"the folder {error.filename or path} cannot be read: {error.strerror}. Make it "
            "readable, or remove it from the set: otherwise its images would be missing unnoticed"
        ) from error
    return Folder(prefix.rstrip("/") or ".", tuple(images), others, tuple(folders))


def _place(entry: os.DirEntry[str]) -> tuple[int, int]:
    found = entry.stat()
    return found.st_dev, found.st_ino


def _count_hidden(tree: Tree, path: Path, name: str) -> None:
    """Count the images of a folder that is skipped; links in it are not followed."""
    images = sum(
        is_image(file) and not file.startswith("._") for _, _, files in os.walk(path) for file in files
    )
    if images:
        tree.hidden[name] += images
