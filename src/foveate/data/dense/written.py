"""Boxes as the files of a set state them, before they are checked against the images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.data.notes import Note

__all__ = ["WrittenPart", "WrittenSet", "as_rows"]


@dataclass(frozen=True, eq=False)
class WrittenPart:
    """The N images of one part and its n boxes, in the order of the files.

    Attributes:
        source: the file or folder that has the boxes, for messages.
        images: the file of each image.
        ids: the number of each image.
        stated: width and height of each image in the annotations, 0 where they are not stated, int64 (N, 2).
        owners: index of the image of each box, int64 (n,).
        boxes: x0, y0, x1, y1, float64 (n, 4).
        labels: index of the class of each box, int64 (n,).
        areas: of each box as stated, or NaN, float64 (n,).
        crowd: whether a box surrounds many objects, or is to be ignored, bool (n,).
        where: the file and place of a box by its index, for messages.
        normalised: whether boxes are fractions of width and height; pixels otherwise.
    """

    source: str
    images: Sequence[Path]
    ids: Sequence[int]
    stated: np.ndarray
    owners: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    where: Callable[[int], str]
    normalised: bool = False


@dataclass(frozen=True, eq=False)
class WrittenSet:
    """A set as its files state it: parts by role, names of classes and the number of each in the files."""

    name: str
    parts: Mapping[str, WrittenPart]
    classes: Sequence[str]
    categories: Sequence[int]
    notes: Sequence[Note]


def as_rows(values: Sequence[Sequence[float]], columns: int, dtype: type) -> np.ndarray:
    """Return an array (n, columns), also of no values."""
    return np.array(values, dtype=dtype).reshape(-1, columns)
