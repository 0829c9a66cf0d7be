"""Precision against recall of a detector, as COCO reads them (Lin et al. 2014)."""

import numpy as np

from foveate.evaluation.drawn.detection import RECALLS
from foveate.records.detection_scores import IOU_THRESHOLDS, MATCHED, MATCHED_CROWD, DetectionScores

__all__ = ["precision_at_recalls"]


def precision_at_recalls(scores: DetectionScores, iou: float) -> np.ndarray | None:
    """Return the precision at `RECALLS`, (101,), as the mean over the classes that have boxes.

    At a recall stands the highest precision at that recall or beyond, and 0 where the recall is not reached.
    The mean over the recalls is the average precision at this IoU.

    Args:
        scores: of a run on its test images.
        iou: one of `IOU_THRESHOLDS`.

    Returns:
        None where no image has a box.
    """
    threshold = int(np.abs(IOU_THRESHOLDS - iou).argmin())
    boxes = scores.boxes.sum(axis=0)
    order = np.lexsort((scores.image, -scores.score))
    curves = []
    for label in np.flatnonzero(boxes):
        flags = scores.matched[order[scores.label[order] == label], threshold]
        right = (flags[flags != MATCHED_CROWD] == MATCHED).cumsum()
        precision = right / np.arange(1, len(right) + 1)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(right / boxes[label], RECALLS)
        curves.append(np.append(highest, 0.0)[places])
    return np.mean(curves, axis=0) if curves else None
