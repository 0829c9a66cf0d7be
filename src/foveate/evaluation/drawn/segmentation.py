"""Metrics of a segmentation on draws of its test images with replacement."""

import numpy as np
from scipy import sparse

from foveate.records.segmentation_scores import SegmentationScores

__all__ = ["SegmentationSums", "dice_of", "iou_of"]


def iou_of(right: np.ndarray, there: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Return the IoU of each class from pixels: found, in truth, and named by the network; 0 without any."""
    union = (there + named - right).astype(np.float64)
    return np.divide(right, union, out=np.zeros_like(union), where=union > 0)


def dice_of(right: np.ndarray, there: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Return the Dice coefficient of each class, from the same."""
    both = (there + named).astype(np.float64)
    return np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)


class SegmentationSums:
    """The sums over images that the metrics of one run are made of, as sparse matrices (K, N) of pixels."""

    def __init__(self, scores: SegmentationScores) -> None:
        is_right = scores.true == scores.predicted
        self._right = _by_class(scores, scores.true, is_right)
        self.there = _by_class(scores, scores.true)
        self._named = _by_class(scores, scores.predicted)

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics on each of d draws, (d,); `counts` (N, d) says how often a draw has an image.

        Means are over the classes that have labelled pixels in the draw. A draw without any has 0.
        """
        counts = counts.astype(np.float64)
        right, there, named = (sums @ counts for sums in (self._right, self.there, self._named))
        is_there = there > 0
        number = np.maximum(is_there.sum(axis=0), 1)
        pixels = there.sum(axis=0)
        return {
            "miou": (iou_of(right, there, named) * is_there).sum(axis=0) / number,
            "dice": (dice_of(right, there, named) * is_there).sum(axis=0) / number,
            "pixel_accuracy": right.sum(axis=0) / np.maximum(pixels, 1),
        }


def _by_class(
    scores: SegmentationScores, label: np.ndarray, where: np.ndarray | slice = slice(None)
) -> sparse.csr_matrix:
    places = label[where].astype(np.int64), scores.image[where].astype(np.int64)
    values = scores.pixels[where].astype(np.float64)
    return sparse.csr_matrix((values, places), shape=(scores.classes, scores.images))
