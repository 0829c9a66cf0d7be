"""How many draws of the images there are."""

import numpy as np

from foveate.evaluation.drawn.dense import drawn_dense, draws_for
from foveate.records.detection_scores import DetectionScores
from foveate.records.segmentation_scores import keep_confusions


def detections(boxes: int, found: int) -> DetectionScores:
    return DetectionScores(
        "r",
        image=np.zeros(found, np.int32),
        label=np.zeros(found, np.int16),
        score=np.ones(found, np.float32),
        matched=np.zeros((found, 10), np.uint8),
        boxes=np.full((2, 1), boxes // 2, np.int32),
    )


def test_they_depend_on_the_truth_alone_and_are_fewer_where_there_is_more_of_it() -> None:
    assert draws_for(detections(900, 3)) == draws_for(detections(900, 5000)) == 2000
    assert draws_for(detections(36_000, 10)) == 166
    assert draws_for(detections(10**8, 10)) == 100
    assert draws_for(keep_confusions("r", np.full((20, 3, 3), 10**6))) == 2000


def test_as_many_metrics_are_drawn() -> None:
    assert drawn_dense(detections(36_000, 10))["map"].shape == (166,)
