"""Metrics of detections on draws: against pycocotools on the images of the draw."""

from pathlib import Path

import numpy as np
import pytest

from coco_images import CLASSES, evaluate_file, make_images
from foveate.evaluation.drawn.detection import DetectionSums
from foveate.evaluation.matching import match_detections
from foveate.records.boxes import ImageBoxes
from foveate.records.boxes import ImageDetections as Found
from foveate.records.detection_scores import DetectionScores

PLACES = {"map": 0, "map50": 1, "map75": 2, "mar100": 8}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_images_once_have_the_metrics_of_pycocotools(tmp_path: Path, seed: int) -> None:
    detections, truth = make_images(seed)
    sums = DetectionSums(match_detections("r", detections, truth, len(CLASSES)))
    found = sums.metrics(np.ones((len(truth), 1), np.float32))
    expected = evaluate_file(tmp_path, detections, truth)
    for name, place in PLACES.items():
        assert found[name][0] == pytest.approx(expected.stats[place], abs=1e-6), name


def test_a_draw_has_the_metrics_of_its_images(tmp_path: Path) -> None:
    detections, truth = make_images(5, images=9)
    # A copy of an image is another image: equal scores within an image are told apart for its copies' order.
    detections = [
        Found(
            one.boxes, one.labels, (one.scores * 0.9 + 1e-4 * np.arange(len(one), 0, -1)).astype(np.float32)
        )
        for one in detections
    ]
    counts = np.random.default_rng(1).multinomial(9, np.full(9, 1 / 9), size=6).T
    sums = DetectionSums(match_detections("r", detections, truth, len(CLASSES)))
    found = sums.metrics(counts.astype(np.float32))
    for draw in range(6):
        chosen = np.repeat(np.arange(9), counts[:, draw])
        expected = evaluate_file(tmp_path, [detections[i] for i in chosen], [truth[i] for i in chosen])
        for name, place in PLACES.items():
            assert found[name][draw] == pytest.approx(expected.stats[place], abs=1e-6), name


def test_a_draw_without_boxes_has_zeros() -> None:
    empty = ImageBoxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), np.zeros(0, bool))
    box = ImageBoxes(np.float32([[0, 0, 9, 9]]), np.array([0]), np.float32([81]), np.array([False]))
    hit = Found(np.float32([[0, 0, 9, 9]]), np.array([0]), np.float32([0.5]))
    sums = DetectionSums(match_detections("r", [hit, hit], [box, empty], 1))
    found = sums.metrics(np.array([[2, 0, 1], [0, 2, 1]], np.float32))
    assert found["map"].tolist() == pytest.approx([1, 0, 1])
    assert found["mar100"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("boxes", [100, 20, 50, 300])
def test_recalls_that_are_reached_exactly_are_compared_as_coco_does(boxes: int) -> None:
    # One detection of each image, all right up to `right`, then all wrong: precision is 1 up to that recall.
    for right in range(boxes + 1):
        matched = np.repeat((np.arange(boxes) < right).astype(np.uint8)[:, None], 10, axis=1)
        scores = DetectionScores(
            "r",
            image=np.arange(boxes, dtype=np.int32),
            label=np.zeros(boxes, np.int16),
            score=np.linspace(1, 0, boxes, dtype=np.float32),
            matched=matched,
            boxes=np.ones((boxes, 1), np.int32),
        )
        found = DetectionSums(scores).metrics(np.ones((boxes, 1), np.float32))
        recalls = np.linspace(0, 1, 101)
        expected = np.count_nonzero(recalls <= right / boxes) / 101 if right else 0
        assert found["map"][0] == pytest.approx(expected, abs=1e-9), right
