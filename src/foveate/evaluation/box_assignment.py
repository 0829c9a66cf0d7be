"""Which box of any class a detection stands for, and what detections take the classes of boxes for.

Average precision matches within a class (see `foveate.evaluation.matching`). Here the rest is matched too, so
that a detection in the right place with the wrong class is told from one where nothing is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foveate.evaluation.matching import bbox_of, overlaps
from foveate.records.boxes import ImageBoxes
from foveate.records.detections import KeptDetections

__all__ = ["LEAST_IOU", "LEAST_SCORE", "Assigned", "assign", "box_confusion"]

LEAST_IOU = 0.5
LEAST_SCORE = 0.5
"""Detections with a lower score are not drawn, and not counted in a confusion."""
NO_BOX, OF_CROWD = -1, -2


class Assigned(NamedTuple):
    """What the detections in an image stand for.

    Attributes:
        box: position of the box of each detection, int64 (d,): `NO_BOX` if it has none, `OF_CROWD` if it is
            neither right nor wrong.
        is_right: whether the box is of the class of the detection, bool (d,).
    """

    box: np.ndarray
    is_right: np.ndarray


def assign(found: KeptDetections, truth: ImageBoxes) -> Assigned:
    """Assign the detections in an image, which are by falling score, to boxes with an IoU of 0.5 or more.

    First each detection takes the box of its class that it overlaps most and that is not taken, as in COCO's
    evaluation; then those that are left take what is left of other classes. A box has one detection at most.
    """
    shared = overlaps(found.bbox, bbox_of(truth), truth.crowd)
    is_same = found.labels[:, None] == truth.labels[None]
    box = np.full(len(found.labels), NO_BOX, dtype=np.int64)
    is_free = ~truth.crowd
    for can_match in (is_same, ~is_same):
        for place in np.flatnonzero(box == NO_BOX):
            left = np.where(can_match[place] & is_free, shared[place], 0.0)
            if left.size and left.max() >= LEAST_IOU:
                box[place] = len(left) - 1 - left[::-1].argmax()  # of equal overlaps the later, as in COCO
                is_free[box[place]] = False
        if can_match is is_same and truth.crowd.any():
            in_crowd = ((shared >= LEAST_IOU) & is_same & truth.crowd).any(axis=1)
            box[(box == NO_BOX) & in_crowd] = OF_CROWD
    is_right = np.array(
        [one >= 0 and truth.labels[one] == label for one, label in zip(box, found.labels, strict=True)]
    )
    return Assigned(box, is_right.astype(bool))


def box_confusion(
    detections: Sequence[KeptDetections], truth: Sequence[ImageBoxes], classes: int
) -> np.ndarray:
    """Return the confusion matrix of detections with a score of 0.5 or more, int64 (K + 1, K + 1).

    Rows are the classes of boxes, columns those of their detections. The last column counts boxes without a
    detection, and the last row detections without a box.
    """
    confusion = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for every, there in zip(detections, truth, strict=True):
        is_sure = every.scores >= LEAST_SCORE
        found = KeptDetections(every.bbox[is_sure], every.labels[is_sure], every.scores[is_sure])
        box = assign(found, there).box
        has_box = box >= 0
        np.add.at(confusion, (there.labels[box[has_box]], found.labels[has_box]), 1)
        np.add.at(confusion, (classes, found.labels[box == NO_BOX]), 1)
        is_missed = ~there.crowd
        is_missed[box[has_box]] = False
        np.add.at(confusion, (there.labels[is_missed], classes), 1)
    return confusion
