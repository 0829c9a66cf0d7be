"""Metrics of a detection on draws of its test images with replacement.

An image that a draw has w times counts as w images with the same detections and boxes: each detection and
each box has the weight of its image. Precision and recall after each detection, by falling score, are then
cumulative sums of weights. Only a right detection raises precision, so that the highest precision at a recall
or beyond, which COCO reads at 101 recalls, is among those after right detections: it is computed there only.
"""

from itertools import pairwise

import numpy as np
from scipy import sparse

from foveate.records.detection_scores import IOU_THRESHOLDS, MATCHED, MATCHED_CROWD, DetectionScores

__all__ = ["RECALLS", "DetectionSums"]

RECALLS = np.linspace(0.0, 1.0, 101)
"""At which precision is read."""
AT_ONCE = 2**18
"""Weights that are held at a time, of four bytes each."""


class DetectionSums:
    """The detections of one run by class and by falling score, and the boxes of each image."""

    def __init__(self, scores: DetectionScores) -> None:
        self.there = sparse.csr_matrix(scores.boxes.T.astype(np.float64))
        # As in COCO, detections of equal scores are in the order of the images.
        order = np.lexsort((scores.image, -scores.score, scores.label))
        ends = np.searchsorted(scores.label[order], np.arange(scores.classes + 1))
        self._classes = [
            _OfClass(scores.image[rows], scores.matched[rows])
            for rows in (order[a:b] for a, b in pairwise(ends))
        ]

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics on each of d draws, (d,); `counts` (N, d) says how often a draw has an image.

        Means are over the classes that have boxes in the draw. A draw without any has 0.
        """
        boxes = self.there @ counts.astype(np.float64)
        number = np.maximum((boxes > 0).sum(axis=0), 1)
        precision = np.zeros((len(IOU_THRESHOLDS), counts.shape[1]))
        recall = np.zeros(counts.shape[1])
        for of_class, there in zip(self._classes, boxes, strict=True):
            if not there.any():
                continue
            some = max(AT_ONCE // max(of_class.detections, 1), 1)
            for start in range(0, counts.shape[1], some):
                block = slice(start, start + some)
                of_block = of_class.average_precision_and_recall(counts[:, block], there[block])
                precision[:, block] += of_block[0]
                recall[block] += of_block[1]
        precision, recall = precision / number, recall / number
        at = {"map50": 0.5, "map75": 0.75}
        places = {name: int(np.abs(IOU_THRESHOLDS - value).argmin()) for name, value in at.items()}
        return {
            "map": precision.mean(axis=0),
            **{name: precision[place] for name, place in places.items()},
            "mar100": recall,
        }


class _OfClass:
    """The detections of one class, by falling score."""

    def __init__(self, image: np.ndarray, matched: np.ndarray) -> None:
        self.detections = len(image)
        self._image = image.astype(np.int64)
        self._right = [np.flatnonzero(flags == MATCHED) for flags in matched.T]
        # A detection that is matched with a crowd does not count, at the thresholds at which it is.
        self._ignored = [np.flatnonzero(flags == MATCHED_CROWD) for flags in matched.T]

    def average_precision_and_recall(
        self, counts: np.ndarray, boxes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return average precision (10, d) and the mean recall (d,), which are 0 where `boxes` (d,) are."""
        draws = counts.shape[1]
        weights = counts[self._image].astype(np.float32)
        total = weights.cumsum(axis=0, dtype=np.float32)  # exact up to 2**24 detections
        reached = _recalls_reached(boxes)
        first = np.arange(draws) * reached.shape[1]
        precision, recall = np.zeros((len(IOU_THRESHOLDS), draws)), np.zeros(draws)
        for threshold, (right, ignored) in enumerate(zip(self._right, self._ignored, strict=True)):
            if not len(right):
                continue
            true = weights[right].cumsum(axis=0, dtype=np.float32)
            counted = total[right]
            if len(ignored):
                before = np.zeros((len(ignored) + 1, draws), dtype=np.float32)
                weights[ignored].cumsum(axis=0, out=before[1:])
                counted = counted - before[np.searchsorted(ignored, right)]
            highest = np.divide(true, np.maximum(counted, 1), out=counted)
            highest = np.maximum.accumulate(highest[::-1], axis=0)[::-1]
            passed = reached.ravel()[true.astype(np.int64) + first]
            passed[1:] -= passed[:-1].copy()
            precision[threshold] = np.einsum("pd,pd->d", highest, passed, dtype=np.float64)
            recall += true[-1]
        is_there = boxes > 0
        recall = np.divide(recall, boxes * len(IOU_THRESHOLDS), out=np.zeros(draws), where=is_there)
        return precision / len(RECALLS) * is_there, recall


def _recalls_reached(boxes: np.ndarray) -> np.ndarray:
    """Return how many of `RECALLS` are at most r / boxes, for r = 0, 1, … right detections, float32 (d, R).

    Compared in float64 as COCO does: 7 of 100 boxes do not reach the recall 7 · 0.01, which is a little more.
    """
    boxes = np.maximum(boxes, 1)
    needed = np.ceil(RECALLS * boxes[:, None] - 1e-6)
    needed += needed / boxes[:, None] < RECALLS
    width = int(boxes.max()) + 3
    places = needed.astype(np.int64) + width * np.arange(len(boxes))[:, None]
    new = np.bincount(places.ravel(), minlength=width * len(boxes)).reshape(len(boxes), width)
    return new.cumsum(axis=1).astype(np.float32)
