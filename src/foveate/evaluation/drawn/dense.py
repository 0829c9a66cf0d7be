"""Metrics of a detection or a segmentation on draws of its test images with replacement."""

import numpy as np
from scipy import sparse

from foveate.evaluation.drawn.detection import DetectionSums
from foveate.evaluation.drawn.segmentation import SegmentationSums
from foveate.evaluation.resampling import DRAWS, draw_images
from foveate.records.detection_scores import DetectionScores
from foveate.records.task_scores import DenseScores

__all__ = ["drawn_dense", "draws_for", "metrics_of", "truth_of"]

FEWEST_DRAWS = 100
WORK = 6_000_000
"""Boxes that are drawn in all: about a second for a run of a detection."""
WORK_OF_PIXELS = 60_000_000
"""The same of a segmentation, in classes of single images."""


def draws_for(scores: DenseScores) -> int:
    """Return the number of draws: 2,000, or fewer where that would take much over a second for each run.

    It follows from the truth alone, and so is the same for all runs of a study, however many there are and
    whatever they find. With 36,000 boxes, as in the validation part of COCO, there are 166 draws: the
    standard deviation of a draw is then known within 5.5 % (one standard error), with 2,000 within 1.6 %.
    """
    is_detection = isinstance(scores, DetectionScores)
    size = int(scores.boxes.sum()) if isinstance(scores, DetectionScores) else truth_of(scores).nnz
    work = WORK if is_detection else WORK_OF_PIXELS
    return int(np.clip(work // max(size, 1), FEWEST_DRAWS, DRAWS))


def drawn_dense(scores: DenseScores, draws: int | None = None) -> dict[str, np.ndarray]:
    """Return the metrics of a run by name, each (draws,), on the same draws for all runs of N images.

    Of a detection they are map, map50, map75 and mar100, of a segmentation miou, dice and pixel_accuracy.
    """
    sums = _sums_of(scores)
    parts = [sums.metrics(counts) for counts in draw_images(scores.images, draws or draws_for(scores))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def metrics_of(scores: DenseScores) -> dict[str, float]:
    """Return the same metrics on all images, each once."""
    found = _sums_of(scores).metrics(np.ones((scores.images, 1), dtype=np.float32))
    return {name: float(values[0]) for name, values in found.items()}


def truth_of(scores: DenseScores) -> sparse.csr_matrix:
    """Return the boxes, or the labelled pixels, of each class in each image, (K, N)."""
    return _sums_of(scores).there


def _sums_of(scores: DenseScores) -> DetectionSums | SegmentationSums:
    return DetectionSums(scores) if isinstance(scores, DetectionScores) else SegmentationSums(scores)
