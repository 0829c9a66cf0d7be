"""The scores of a segmentation: the confusion matrix of each test image of a run, in scores.safetensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.records.metric import SEGMENTATION
from foveate.records.score_file import Columns, check_possible, read_columns, write_columns

__all__ = [
    "SegmentationScores",
    "keep_confusions",
    "read_segmentation_scores",
    "write_segmentation_scores",
]

TYPES: dict[str, np.dtype] = {
    "image": np.dtype(np.int32),
    "true": np.dtype(np.int16),
    "predicted": np.dtype(np.int16),
    "pixels": np.dtype(np.int32),
}


@dataclass(frozen=True, eq=False)
class SegmentationScores:
    """The confusion matrices of N test images, in the order of the part, by their M places that are not 0.

    Pixels that are not labelled are not counted.

    Attributes:
        run: the run's id.
        classes: number K of classes.
        images: number N of images.
        image: index of the image, int32 (M,).
        true: index of the class that is there, int16 (M,).
        predicted: index of the class that the network names, int16 (M,).
        pixels: how many pixels of the image are both, int32 (M,), above 0.
    """

    run: str
    classes: int
    images: int
    image: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    pixels: np.ndarray

    def confusion(self) -> np.ndarray:
        """Return the confusion matrix of all images together, int64 (K, K): true row, predicted column."""
        places = self.true.astype(np.int64) * self.classes + self.predicted
        total = np.zeros(self.classes**2, dtype=np.int64)
        np.add.at(total, places, self.pixels.astype(np.int64))
        return total.reshape(self.classes, self.classes)


def keep_confusions(run: str, confusions: np.ndarray) -> SegmentationScores:
    """Return the scores of a run from the confusion matrices (N, K, K) of its images.

    A matrix of an image may have at most 2³¹ - 1 pixels in a place.
    """
    image, true, predicted = np.nonzero(confusions)
    return SegmentationScores(
        run,
        classes=confusions.shape[1],
        images=len(confusions),
        image=image.astype(np.int32),
        true=true.astype(np.int16),
        predicted=predicted.astype(np.int16),
        pixels=confusions[image, true, predicted].astype(np.int32),
    )


def write_segmentation_scores(folder: Path, scores: SegmentationScores) -> None:
    """Write `scores` into the run's `folder`, whole or not at all: 12 bytes per place that is not 0."""
    arrays = {name: getattr(scores, name) for name in TYPES}
    numbers = {"classes": scores.classes, "images": scores.images}
    write_columns(folder, Columns(scores.run, SEGMENTATION.name, arrays, numbers))


def read_segmentation_scores(folder: Path) -> SegmentationScores | None:
    """Read the scores in a run's `folder`; None if there are none.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    columns = read_columns(folder, SEGMENTATION.name, TYPES, numbers=("classes", "images"))
    if columns is None:
        return None
    shapes = {array.shape for array in columns.arrays.values()}
    numbers = columns.numbers
    scores = SegmentationScores(
        columns.run, classes=numbers["classes"], images=numbers["images"], **columns.arrays
    )
    check_possible(
        folder, shapes_fit=len(shapes) == 1 and len(shapes.pop()) == 1, values_fit=_are_possible(scores)
    )
    return scores


def _are_possible(scores: SegmentationScores) -> bool:
    """Return whether images and classes are there, and counts are above 0."""
    limits = [
        (scores.image, scores.images),
        (scores.true, scores.classes),
        (scores.predicted, scores.classes),
    ]
    return bool(
        all(((one >= 0) & (one < limit)).all() for one, limit in limits) and (scores.pixels > 0).all()
    )
