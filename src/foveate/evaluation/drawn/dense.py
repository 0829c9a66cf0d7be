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
MOST_BOXES = 6_000_000
"""Boxes of all draws of a detection together: about a second for each run."""


def draws_for(scores: DenseScores) -> int:
    """Return the number of draws: 2,000, or fewer of a detection of which a run would take over a second.

    It follows from the annotated boxes alone, and so is the same for all runs of a study, however many there
    are and whatever they find. With 36,000 boxes, as in the validation part of COCO, there are 166 draws: the
    standard deviation of a draw is then known within 5.5 % (one standard error), with 2,000 within 1.6 %.
    """
    if not isinstance(scores, DetectionScores):
        return DRAWS
    boxes = max(int(scores.boxes.sum()), 1)
    return int(np.clip(MOST_BOXES // boxes, FEWEST_DRAWS, DRAWS))


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
