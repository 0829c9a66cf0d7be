"""Folders of images that were corrupted elsewhere, laid out as CIFAR-10-C and ImageNet-C are."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data.class_map import read_class_names
from foveate.data.corruptions import noise_sigma
from foveate.data.folder import EXTENSIONS
from foveate.data.greys import GreyRange
from foveate.data.images import UnreadableImageError, decode, place
from foveate.data.numbering import Numbering, are_numbers, number_classes
from foveate.errors import RequestError, shortened
from foveate.names import cleaned
from foveate.records.robustness import CLEAN

__all__ = ["ArrayCorruptions", "FolderCorruptions", "PreparedCorruptions", "open_prepared"]

STRENGTHS = 5
LABELS = "labels.npy"


class PreparedCorruptions(ABC):
    """Corrupted images with labels, by corruption and severity.

    Attributes:
        corruptions: the names that are there, sorted.
        left_out: sentences on what was not taken; images that cannot be read are told by `read`.
        assumed: a sentence on the classes that its numbers were read as, where nothing in it says them.
    """

    corruptions: tuple[str, ...]
    left_out: list[str]
    assumed: str | None = None

    def has(self, corruption: str, severity: int) -> bool:
        """Whether this corruption is there in this severity."""
        return corruption in self.corruptions

    @abstractmethod
    def identity(self, corruption: str) -> str:
        """Hash of all that decides images and labels of this corruption."""

    @abstractmethod
    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """int64 (N,), of what is there."""

    @abstractmethod
    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Images, float (B, C, H, W) in 0..1, labels, int64 (B,), and what could not be decoded, in words."""


def open_prepared(
    folder: Path,
    classes: Sequence[str],
    image_size: int,
    channels: int,
    naming: Path | None = None,
    greys: GreyRange | None = None,
) -> PreparedCorruptions:
    """Open a folder of CORRUPTION.npy with labels.npy, or of CORRUPTION/SEVERITY/CLASS/IMAGE.

    `naming` is a file that says which of `classes` each label or class folder is (see `read_class_names`);
    without it folders go by name and labels by number (see `number_classes`). Nothing is unpickled, and
    arrays are mapped, not read. `greys` is the range of greys of more than 8 bits of the set that the
    networks were trained on.

    Raises:
        RequestError: neither layout is there, its images or classes are others than the networks', or a name
            is one of those that are kept for images made here: clean, noise_σ.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: give the folder of a prepared -C set")
    layout = ArrayCorruptions if (folder / LABELS).is_file() else FolderCorruptions
    prepared: PreparedCorruptions = layout(folder, classes, image_size, channels, naming)
    if isinstance(prepared, FolderCorruptions):
        prepared.greys = greys
    for name in prepared.corruptions:
        if name == CLEAN or noise_sigma(name) is not None:
            raise RequestError(
                f"{folder} has a corruption {name!r}, and images of that name are made here: rename it"
            )
    return prepared


class ArrayCorruptions(PreparedCorruptions):
    """CIFAR-10-C's layout: NAME.npy, uint8 (5·N, H, W, 3), by severity, and labels.npy (5·N,)."""

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        image_size: int,
        channels: int,
        naming: Path | None = None,
    ) -> None:
        if channels != 3:
            raise RequestError(f"{folder} holds colour images, and the networks take {channels} channel")
        given = _load(folder / LABELS)
        if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) % STRENGTHS or not len(given):
            raise RequestError(
                f"{folder / LABELS} holds {given.dtype} {given.shape}: expected whole numbers, "
                f"(5·N,), the labels of {STRENGTHS} severities"
            )
        numbers, places = np.unique(given, return_inverse=True)
        index, self.assumed = _number_labels(folder / LABELS, numbers.tolist(), classes, naming)
        self._labels = np.array([index[number] for number in numbers.tolist()], dtype=np.int64)[places]
        files = sorted(file for file in folder.glob("*.npy") if file.name != LABELS)
        self._arrays = {file.stem: _load(file) for file in files}
        expected = (len(self._labels), image_size, image_size, 3)
        for file in files:
            array = self._arrays[file.stem]
            if array.dtype != np.uint8 or array.shape != expected:
                raise RequestError(
                    f"{file} holds {array.dtype} {array.shape}: expected uint8 {expected}, images of the "
                    "size that the networks take, one a label"
                )
        if not files:
            raise RequestError(f"{folder} has {LABELS} and no CORRUPTION.npy beside it")
        self.corruptions = tuple(self._arrays)
        self.left_out = []
        self._identities: dict[str, str] = {}

    def identity(self, corruption: str) -> str:
        """Hash of the pixels and labels themselves: all arrays of such a set are of the same size."""
        if corruption not in self._identities:
            digest = hashlib.sha256(self._labels.tobytes())
            digest.update(np.ascontiguousarray(self._arrays[corruption]).data)
            self._identities[corruption] = digest.hexdigest()
        return self._identities[corruption]

    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """int64 (N,)."""
        return self._labels[self._span(severity)]

    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Images, float (B, 3, H, W) in 0..1, and labels, int64 (B,); all of them can be read."""
        pixels = self._arrays[corruption][self._span(severity)][indices]
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return images.float() / 255, torch.from_numpy(self.labels(corruption, severity)[indices]), []

    def _span(self, severity: int) -> slice:
        count = len(self._labels) // STRENGTHS
        return slice((severity - 1) * count, severity * count)


class FolderCorruptions(PreparedCorruptions):
    """ImageNet-C's layout: CORRUPTION/SEVERITY/CLASS/IMAGE; images are brought to the networks' size.

    Class folders go by name. Where the networks' classes have only numbers for names, the n-th folder in
    sorted order, counted from 0, is the class called n.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        image_size: int,
        channels: int,
        naming: Path | None = None,
    ) -> None:
        self.folder, self.image_size, self.channels = folder, image_size, channels
        self.greys: GreyRange | None = None
        found: dict[tuple[str, int], dict[str, list[Path]]] = {}
        for file in sorted(folder.glob("*/[1-5]/*/*")):
            corruption, severity, class_ = file.relative_to(folder).parts[:3]
            if file.suffix.lower() in EXTENSIONS:
                found.setdefault((corruption, int(severity)), {}).setdefault(cleaned(class_), []).append(file)
        if not found:
            raise RequestError(
                f"{folder} holds no prepared -C set: expected {LABELS} with CORRUPTION.npy (as CIFAR-10-C) "
                "or CORRUPTION/SEVERITY/CLASS/IMAGE with severities 1 to 5 (as ImageNet-C)"
            )
        names = sorted({class_ for of_classes in found.values() for class_ in of_classes})
        numbers, self.assumed = _number_folders(folder, names, classes, naming)
        self._files = {
            place: [
                (file, numbers[name])
                for name, files in of_classes.items()
                if name in numbers
                for file in files
            ]
            for place, of_classes in found.items()
        }
        strange = [name for name in names if name not in numbers]
        self.left_out = (
            [f"{len(strange)} folders of {folder} are no classes of the networks: {shortened(strange)}."]
            if strange
            else []
        )
        self.corruptions = tuple(sorted({corruption for corruption, _ in found}))
        self._identities: dict[str, str] = {}

    def has(self, corruption: str, severity: int) -> bool:
        """Whether this corruption is there in this severity."""
        return bool(self._files.get((corruption, severity)))

    def identity(self, corruption: str) -> str:
        """Hash of names, labels, sizes and times of the files, and of the size that they are brought to.

        There are too many to read each of them for this; one that is replaced has another time.
        """
        if corruption not in self._identities:
            digest = hashlib.sha256(f"{self.image_size} {self.channels}".encode())
            for severity in range(1, STRENGTHS + 1):
                for file, label in self._files.get((corruption, severity), []):
                    found, name = file.stat(), file.relative_to(self.folder).as_posix()
                    digest.update(b"\n" + os.fsencode(name))
                    digest.update(f"\0{label} {found.st_size} {found.st_mtime_ns}".encode())
            self._identities[corruption] = digest.hexdigest()
        return self._identities[corruption]

    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """int64 (N,)."""
        return np.array([label for _, label in self._files[corruption, severity]], dtype=np.int64)

    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Images, float (B, C, H, W) in 0..1, labels, int64 (B,), and the files that cannot be decoded."""
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
        stacked = (
            np.stack(images) if images else np.empty((0, self.channels, self.image_size, self.image_size))
        )
        return torch.from_numpy(stacked).float() / 255, torch.tensor(labels, dtype=torch.int64), unreadable


def _load(file: Path) -> np.ndarray:
    try:
        # Of one array alone: numpy's load also takes archives and pickles, whatever a file is called.
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise RequestError(f"{file} is no array of plain numbers: {error}") from error


def _number_labels(
    path: Path, numbers: Sequence[int], classes: Sequence[str], naming: Path | None
) -> Numbering:
    """The index of the class of each label."""
    way = "Say which class each label is with --classes FILE"
    if naming is None:
        try:
            return number_classes(numbers, classes, str(path))
        except RequestError as error:
            raise RequestError(f"{error}. {way}") from error
    named = read_class_names(naming, [str(number) for number in numbers], classes)
    if unnamed := [number for number in numbers if str(number) not in named]:
        raise RequestError(f"{naming} does not say which class {shortened(unnamed)} of {path} is")
    return Numbering({number: classes.index(named[str(number)]) for number in numbers}, None)


def _number_folders(
    folder: Path, names: Sequence[str], classes: Sequence[str], naming: Path | None
) -> tuple[dict[str, int], str | None]:
    """The index of the class of each class folder that has one, and a sentence on what was assumed."""
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
            f"The classes have numbers alone, and the folders of {folder} were read as those in sorted "
            f"order: {pairs}.",
        )
    raise RequestError(
        f"{folder} has the classes {shortened(names)}, and the networks know {shortened(classes)}: "
        "none is in both. Say which class each folder is with --classes FILE"
    )
