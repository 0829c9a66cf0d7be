"""Prepared sets in the layout of ImageNet-C: a folder of images per corruption, severity and class."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data.class_map import read_class_names
from foveate.data.images import UnreadableImageError, decode, place
from foveate.data.numbering import are_numbers, number_classes
from foveate.data.prepared.base import LABELS, STRENGTHS, PreparedCorruptions
from foveate.data.tree import is_image
from foveate.errors import RequestError, shortened
from foveate.names import cleaned

__all__ = ["FolderCorruptions"]


class FolderCorruptions(PreparedCorruptions):
    """CORRUPTION/SEVERITY/CLASS/IMAGE; images are resized and cropped to the networks' size.

    Classes are found by the names of their folders. If the networks' classes have only numbers for names, the
    n-th folder in sorted order, counted from 0, is the class called n.
    """

    def _open(self, classes: Sequence[str], naming: Path | None) -> None:
        folder = self.folder
        found: dict[tuple[str, int], dict[str, list[Path]]] = {}
        for file in sorted(folder.glob("*/[1-5]/*/*")):
            corruption, severity, class_ = file.relative_to(folder).parts[:3]
            if is_image(file.name):
                found.setdefault((corruption, int(severity)), {}).setdefault(cleaned(class_), []).append(file)
        if not found:
            raise RequestError(
                f"{folder} holds no prepared -C set: expected {LABELS} with CORRUPTION.npy (as CIFAR-10-C) "
                "or CORRUPTION/SEVERITY/CLASS/IMAGE with severities 1 to 5 (as ImageNet-C)"
            )
        names = sorted({class_ for of_classes in found.values() for class_ in of_classes})
        numbers, self.assumed = _number_folders(folder, names, classes, naming)
        self._files = {
            key: [
                (file, numbers[name])
                for name, files in of_classes.items()
                if name in numbers
                for file in files
            ]
            for key, of_classes in found.items()
        }
        if strange := [name for name in names if name not in numbers]:
            said = f"{len(strange)} folders of {folder} are no classes of the networks: {shortened(strange)}."
            self.exclusions = (said,)
        self.corruptions = tuple(sorted({corruption for corruption, _ in found}))

    def _hash(self, corruption: str) -> str:
        """Hash names, labels, sizes and times of the files, and the size that they are converted to.

        The files are too many to be read for this; a replaced one has another time.
        """
        digest = hashlib.sha256(f"{self.image_size} {self.channels}".encode())
        for severity in range(1, STRENGTHS + 1):
            for file, label in self._files.get((corruption, severity), []):
                found, name = file.stat(), file.relative_to(self.folder).as_posix()
                digest.update(b"\n" + os.fsencode(name))
                digest.update(f"\0{label} {found.st_size} {found.st_mtime_ns}".encode())
        return digest.hexdigest()

    def has(self, corruption: str, severity: int) -> bool:
        """Return whether the set has this corruption in this severity."""
        return bool(self._files.get((corruption, severity)))

    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """Return the labels of its images, int64 (N,)."""
        return np.array([label for _, label in self._files[corruption, severity]], dtype=np.int64)

    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Return images, float (B, C, H, W) in 0..1, labels, int64 (B,), and errors of undecodable files."""
        images, labels, unreadable = [], [], []
        for index in indices:
            file, label = self._files[corruption, severity][index]
            try:
                pixels, _ = decode(file, self.greys)
            except UnreadableImageError as error:
                unreadable.append(f"{file.relative_to(self.folder).as_posix()}: {error}")
                continue
            images.append(np.array(place(pixels, self.channels, self.image_size)))
            labels.append(label)
        shape = (len(images), self.channels, self.image_size, self.image_size)
        stacked = torch.from_numpy(np.array(images).reshape(shape)).float() / 255
        return stacked, torch.tensor(labels, dtype=torch.int64), unreadable


def _number_folders(
    folder: Path, names: Sequence[str], classes: Sequence[str], naming: Path | None
) -> tuple[dict[str, int], str | None]:
    """Return the label of each class folder that has one, and a sentence on what was assumed."""
    if naming is not None:
        named = read_class_names(naming, names, classes)
        return {name: classes.index(class_) for name, class_ in named.items()}, None
    known = {name: classes.index(name) for name in names if name in classes}
    if known:
        return known, None
    if are_numbers(classes) and sorted(map(int, classes)) == list(range(len(names))):
        index = number_classes(range(len(names)), classes, str(folder)).labels
        pairs = shortened([f"{name} as {number}" for number, name in enumerate(names)], 12)
        return (
            {name: index[number] for number, name in enumerate(names)},
            f"The classes have only numbers, and the folders of {folder} were read as those in sorted "
            f"order: {pairs}.",
        )
    raise RequestError(
        f"{folder} has the classes {shortened(names)}, and the networks know {shortened(classes)}: "
        "none is in both. Say which class each folder is with --classes FILE"
    )
