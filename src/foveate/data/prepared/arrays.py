"""Prepared sets in the layout of CIFAR-10-C: an array file per corruption, and one of labels."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data.class_map import read_class_names
from foveate.data.numbering import Numbering, number_classes
from foveate.data.prepared.base import LABELS, STRENGTHS, PreparedCorruptions
from foveate.errors import RequestError, shortened

__all__ = ["ArrayCorruptions"]


class ArrayCorruptions(PreparedCorruptions):
    """NAME.npy, uint8 (5·N, H, W, 3), ordered by severity, and labels.npy (5·N,)."""

    def _open(self, classes: Sequence[str], naming: Path | None) -> None:
        folder, size = self.folder, self.image_size
        if self.channels != 3:
            raise RequestError(f"{folder} holds colour images, and the networks take {self.channels} channel")
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
        if not files:
            raise RequestError(f"{folder} has {LABELS} and no CORRUPTION.npy beside it")
        self._arrays = {file.stem: _load(file) for file in files}
        expected = (len(self._labels), size, size, 3)
        for file in files:
            array = self._arrays[file.stem]
            if array.dtype != np.uint8 or array.shape != expected:
                raise RequestError(
                    f"{file} holds {array.dtype} {array.shape}: expected uint8 {expected}, one image per "
                    "label in the size that the networks take"
                )
        self.corruptions = tuple(self._arrays)

    def _hash(self, corruption: str) -> str:
        """Hash the pixels and labels, because all arrays of such a set have the same size."""
        digest = hashlib.sha256(self._labels.tobytes())
        digest.update(np.ascontiguousarray(self._arrays[corruption]).data)
        return digest.hexdigest()

    def has(self, corruption: str, severity: int) -> bool:
        """Return whether the set has this corruption: each has every severity."""
        return corruption in self._arrays

    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """Return the labels of its images, int64 (N,)."""
        return self._labels[self._span(severity)]

    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Return images, float (B, 3, H, W) in 0..1, labels, int64 (B,), and no errors."""
        pixels = self._arrays[corruption][self._span(severity)][indices]
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return images.float() / 255, torch.from_numpy(self.labels(corruption, severity)[indices]), []

    def _span(self, severity: int) -> slice:
        count = len(self._labels) // STRENGTHS
        return slice((severity - 1) * count, severity * count)


def _load(file: Path) -> np.ndarray:
    try:
        # numpy.load would also take archives and pickles, whatever the suffix.
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise RequestError(f"{file} is not an array of numbers: {error}") from error


def _number_labels(
    path: Path, numbers: Sequence[int], classes: Sequence[str], naming: Path | None
) -> Numbering:
    if naming is None:
        try:
            return number_classes(numbers, classes, str(path))
        except RequestError as error:
            raise RequestError(f"{error}. Say which class each label is with --classes FILE") from error
    named = read_class_names(naming, [str(number) for number in numbers], classes)
    if unnamed := [number for number in numbers if str(number) not in named]:
        raise RequestError(f"{naming} does not say which class {shortened(unnamed)} of {path} is")
    return Numbering({number: classes.index(named[str(number)]) for number in numbers}, None)
