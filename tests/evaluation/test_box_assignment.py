"""Which boxes detections stand for, and the confusion of their classes."""

import numpy as np
import pytest

from coco_images import CLASSES, make_images
from foveate.evaluation.box_assignment import NO_BOX, OF_CROWD, assign, box_confusion
from foveate.evaluation.matching import match_detections
from foveate.records.boxes import ImageBoxes
from foveate.records.detection_scores import MATCHED
from foveate.records.detections import KeptDetections, keep_detections


def found(*rows: tuple[int, float, tuple[int, int, int, int]]) -> KeptDetections:
    return KeptDetections(
        np.array([bbox for _, _, bbox in rows], dtype=np.float64).reshape(-1, 4),
        np.array([label for label, _, _ in rows], dtype=np.int64),
        np.array([score for _, score, _ in rows]),
    )


def there(*rows: tuple[int, tuple[int, int, int, int]], crowd: tuple[int, ...] = ()) -> ImageBoxes:
    boxes = np.array([corners for _, corners in rows], dtype=np.float32).reshape(-1, 4)
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    is_crowd = np.isin(np.arange(len(rows)), crowd)
    return ImageBoxes(boxes, labels, np.ones(len(rows), np.float32), is_crowd)


def test_a_box_goes_to_a_detection_of_its_class_before_a_surer_one_of_another() -> None:
    assigned = assign(found((1, 0.9, (0, 0, 10, 10)), (0, 0.6, (0, 0, 10, 9))), there((0, (0, 0, 10, 10))))
    assert assigned.box.tolist() == [NO_BOX, 0]
    assert assigned.is_right.tolist() == [False, True]


def test_a_detection_in_a_crowd_of_its_class_is_neither_right_nor_wrong() -> None:
    truth = there((0, (0, 0, 100, 100)), crowd=(0,))
    assigned = assign(found((0, 0.9, (5, 5, 10, 10)), (1, 0.8, (5, 5, 10, 10))), truth)
    assert assigned.box.tolist() == [OF_CROWD, NO_BOX]


def test_a_confusion_counts_each_box_and_each_sure_detection_once() -> None:
    truth = [there((0, (0, 0, 10, 10)), (1, (20, 0, 30, 10)), (1, (40, 0, 50, 10))), there()]
    detections = [
        found((0, 0.9, (0, 0, 10, 10)), (0, 0.8, (20, 0, 10, 10)), (1, 0.4, (40, 0, 10, 10))),
        found((1, 0.5, (0, 0, 10, 10))),
    ]
    assert box_confusion(detections, truth, 2).tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("seed", [0, 1])
def test_right_detections_are_those_that_coco_matches_at_an_iou_of_a_half(seed: int) -> None:
    detections, truth = make_images(seed)
    kept = [keep_detections(one) for one in detections]
    confusion = box_confusion(kept, truth, len(CLASSES))
    scores = match_detections("run", detections, truth, len(CLASSES))
    is_sure = scores.score >= 0.5
    right = is_sure & (scores.matched[:, 0] == MATCHED)
    assert confusion.diagonal()[:-1].tolist() == np.bincount(scores.label[right], minlength=5).tolist()
    assert confusion[:-1].sum(axis=1).tolist() == scores.boxes.sum(axis=0).tolist()
