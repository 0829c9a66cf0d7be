"""Which detection matches which box: against COCOeval.evaluateImg, and by hand."""

from pathlib import Path

import numpy as np
import pytest

from coco_images import CLASSES, evaluate_file, make_images
from foveate.evaluation.matching import match_detections
from foveate.records.boxes import ImageBoxes, ImageDetections


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flags_are_those_of_pycocotools(tmp_path: Path, seed: int) -> None:
    detections, truth = make_images(seed)
    found = match_detections("r", detections, truth, len(CLASSES))
    expected = evaluate_file(tmp_path, detections, truth)
    sizes, seen = len(expected.params.areaRng), 0
    for place, of_image in enumerate(expected.evalImgs):
        label, size, image = np.unravel_index(place, (len(CLASSES), sizes, len(truth)))
        if size or of_image is None:
            continue
        ours = (found.image == image) & (found.label == label)
        flags = np.where(of_image["dtMatches"] > 0, 1 + of_image["dtIgnore"], 0).T
        np.testing.assert_array_equal(found.matched[ours], flags.reshape(-1, 10))
        np.testing.assert_allclose(found.score[ours], of_image["dtScores"], rtol=1e-6)
        assert found.boxes[image, label] == np.count_nonzero(of_image["gtIgnore"] == 0)
        seen += ours.sum()
    assert seen == len(found.image)
    assert set(np.unique(found.matched)) == {0, 1, 2}
    assert np.bincount(found.image * 5 + found.label).max() == 100


def test_a_box_is_taken_once_and_a_crowd_as_often_as_it_is_found() -> None:
    truth = ImageBoxes(
        boxes=np.float32([[0, 0, 10, 10], [20, 0, 80, 60]]),
        labels=np.array([0, 0]),
        areas=np.float32([100, 3600]),
        crowd=np.array([False, True]),
    )
    # The first overlaps the box by 0.8, the second is the box, and the others lie within the crowd.
    detections = ImageDetections(
        boxes=np.float32([[0, 0, 10, 8], [0, 0, 10, 10], [20, 0, 30, 10], [40, 20, 50, 30], [0, 90, 9, 99]]),
        labels=np.zeros(5, int),
        scores=np.float32([0.9, 0.8, 0.7, 0.6, 0.5]),
    )
    found = match_detections("r", [detections], [truth], 1)
    assert found.matched[:, 0].tolist() == [1, 0, 2, 2, 0]  # at an IoU of 0.50
    assert found.matched[:, 7].tolist() == [0, 1, 2, 2, 0]  # at 0.85
    assert found.boxes.tolist() == [[1]]
