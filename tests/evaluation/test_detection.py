"""Scores of detections: against pycocotools' evaluation of the file that a run keeps."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from coco_images import CATEGORIES, CLASSES, evaluate_file, make_images
from foveate.errors import RequestError
from foveate.evaluation.detection import detection_scores
from foveate.records.boxes import ImageBoxes, ImageDetections
from foveate.records.detections import DETECTIONS
from foveate.records.metric import DETECTION


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_they_are_those_of_pycocotools_for_the_kept_file(tmp_path: Path, seed: int) -> None:
    detections, truth = make_images(seed)
    assert max(map(len, detections)) > 100
    assert any(there.crowd.any() for there in truth)
    found = detection_scores(detections, truth, CLASSES)
    expected = evaluate_file(tmp_path, detections, truth)
    names = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
    for name, value in zip(names, expected.stats[:6], strict=True):
        assert getattr(found, name) == pytest.approx(value, abs=1e-6), name
    assert found.mar100 == pytest.approx(expected.stats[8], abs=1e-6)
    precision = expected.eval["precision"][:, :, :, 0, -1]
    support = [sum(int((one.labels[~one.crowd] == k).sum()) for one in truth) for k in range(5)]
    assert [row.support for row in found.per_class] == support
    for label, row in enumerate(found.per_class):
        if not support[label]:
            assert (row.ap, row.ap50) == (None, None)
            continue
        assert row.ap == pytest.approx(precision[:, :, label].mean(), abs=1e-6)
        assert row.ap50 == pytest.approx(precision[0, :, label].mean(), abs=1e-6)


def boxes(*rows: tuple[float, ...], label: int = 0, crowd: bool = False) -> ImageBoxes:
    array = np.array(rows, dtype=np.float32).reshape(-1, 4)
    areas = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    return ImageBoxes(array, np.full(len(rows), label), areas, np.full(len(rows), crowd))


NOTHING = ImageDetections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


def test_a_size_without_objects_and_a_class_without_boxes_have_no_metric() -> None:
    hit = ImageDetections(np.float32([[10, 10, 30, 30]]), np.array([0]), np.float32([0.9]))
    found = detection_scores([hit, NOTHING], [boxes((10, 10, 30, 30)), boxes((0, 0, 9, 9))], CLASSES)
    # One of two boxes is found, at all thresholds: precision is 1 up to a recall of 0.5, at 51 of 101 places.
    assert found.map == pytest.approx(51 / 101)
    assert found.mar100 == pytest.approx(0.5)
    assert found.map_small == pytest.approx(51 / 101)
    assert (found.map_medium, found.map_large) == (None, None)
    assert [row.support for row in found.per_class] == [2, 0, 0, 0, 0]
    assert {metric.name for metric in DETECTION.metrics if found.value_if_any(metric) is None} == {
        "map_medium",
        "map_large",
    }


def test_a_detector_that_finds_nothing_has_zeros() -> None:
    found = detection_scores([NOTHING], [boxes((10, 10, 30, 30))], CLASSES)
    assert (found.map, found.mar100, found.per_class[0].ap) == (0, 0, 0)


@pytest.mark.parametrize("truth", [boxes(), boxes((0, 0, 9, 9), crowd=True)], ids=["empty", "crowd"])
def test_a_part_without_a_box_is_refused(truth: ImageBoxes) -> None:
    with pytest.raises(RequestError, match="no box is annotated in any of the 1 test images"):
        detection_scores([NOTHING], [truth], CLASSES)


def test_the_file_is_one_of_coco_results(tmp_path: Path) -> None:
    detections, truth = make_images(3, images=4)
    evaluate_file(tmp_path, detections, truth)
    rows = json.loads((tmp_path / DETECTIONS).read_text())
    assert len(rows) == sum(map(len, detections))
    first, (x0, y0, x1, y1) = rows[0], detections[0].boxes[0].astype(float)
    assert first["image_id"] == 100
    assert first["category_id"] == CATEGORIES[detections[0].labels[0]]
    assert first["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=0.0051)
    assert first["score"] == pytest.approx(detections[0].scores[0], abs=5.1e-6)
    assert all(round(value, 2) == value for row in rows for value in row["bbox"])
    assert all(round(row["score"], 5) == row["score"] for row in rows)


def test_without_the_evaluation_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)  # what an import then finds: nothing
    with pytest.raises(RequestError, match=r"pip install 'foveate\[dense\]'"):
        detection_scores([NOTHING], [boxes((10, 10, 30, 30))], CLASSES)
