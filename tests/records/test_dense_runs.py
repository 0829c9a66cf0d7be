"""Records of runs of detection and segmentation: which numbers they must have, and which may be missing."""

from pathlib import Path

import pytest
from synthetic_dense import write_dense_study
from synthetic_study import edit_json, run_record

from foveate.errors import RequestError
from foveate.records.files import read_json
from foveate.records.metric import DETECTION, SEGMENTATION, TaskRecord
from foveate.records.read_run import read_run
from foveate.records.run import RunRecord


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    tasks = (DETECTION, SEGMENTATION)
    return {
        task.name: run_record(
            write_dense_study(tmp_path / task.name, task, {"none": 0.0}, seeds=1), "none", 0
        )
        for task in tasks
    }


def read_without(places: dict[str, Path], task: TaskRecord, part: str, name: str) -> RunRecord:
    """The record without one of its numbers."""
    path = places[task.name]
    content = read_json(path)
    rows = content["epochs"] if part == "epochs" else [content["test"]]
    for row in rows:
        row.pop(name, None)
    edit_json(path, **{part: content[part]})
    return read_run(path, task=task)


def test_a_detection_has_no_metric_of_training_and_maybe_no_objects_of_a_size(places) -> None:
    found = read_without(places, DETECTION, "test", "map_large")
    large = next(metric for metric in DETECTION.metrics if metric.name == "map_large")
    assert found.test.value_if_any(large) is None
    with pytest.raises(ValueError, match="has no map_large"):
        found.test.value(large)
    assert found.epochs[0].training_if_any(DETECTION.primary) is None
    with pytest.raises(ValueError, match="has no validation_loss"):
        found.epochs[0].validation(SEGMENTATION.metrics[-1])
    assert found.epochs[0].validation(DETECTION.primary) > 0
    assert found.epochs[0].validation_loss is None


@pytest.mark.parametrize(
    ("task", "part", "name"),
    [
        (DETECTION, "test", "map50"),
        (DETECTION, "test", "mar100"),
        (DETECTION, "epochs", "validation_map"),
        (SEGMENTATION, "test", "miou"),
        (SEGMENTATION, "test", "loss"),
        (SEGMENTATION, "epochs", "train_miou"),
        (SEGMENTATION, "epochs", "validation_miou"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_the_other_numbers_must_be_there(places, task: TaskRecord, part: str, name: str) -> None:
    with pytest.raises(RequestError, match=rf"{name}: expected a number, a metric of {task.name}"):
        read_without(places, task, part, name)


def test_impossible_scores_of_a_class_are_refused(places) -> None:
    for task, score in ((DETECTION, "ap50"), (SEGMENTATION, "iou")):
        path = places[task.name]
        test = read_json(path)["test"]
        test["per_class"][1][score] = 1.5
        edit_json(path, test=test)
        with pytest.raises(RequestError, match=f"the {score} of class 'platelet' is 1.5"):
            read_run(path, task=task)
