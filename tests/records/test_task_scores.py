"""Scores of test images of each task: they come back as they were, and nothing else is taken for them."""

from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from foveate.errors import RequestError
from foveate.records.detection_scores import DetectionScores
from foveate.records.scores import SCORES, ImageScores
from foveate.records.segmentation_scores import SegmentationScores
from foveate.records.task_scores import TaskScores, read_task_scores, write_task_scores

CLASSIFIED = ImageScores(
    "abc",
    predicted=np.array([1, 0], np.int16),
    correct=np.array([True, False]),
    confidence=np.array([0.5, 1], np.float16),
    loss=np.array([0.1, 2], np.float16),
    label=np.array([1, 1], np.int16),
)
DETECTED = DetectionScores(
    "abc",
    image=np.array([0, 2, 2], np.int32),
    label=np.array([1, 0, 1], np.int16),
    score=np.array([0.9, 0.25, 0.5], np.float32),
    matched=np.array([[1] * 5 + [0] * 5, [2] * 10, [0] * 10], np.uint8),
    boxes=np.array([[0, 2], [0, 0], [1, 0]], np.int32),
)
SEGMENTED = SegmentationScores(
    "abc",
    classes=3,
    images=5,
    image=np.array([0, 0, 4], np.int32),
    true=np.array([0, 2, 1], np.int16),
    predicted=np.array([0, 1, 1], np.int16),
    pixels=np.array([70_000, 3, 9], np.int32),
)
ALL = {"classification": CLASSIFIED, "detection": DETECTED, "segmentation": SEGMENTED}


@pytest.mark.parametrize("task", ALL)
def test_they_come_back_as_they_were(tmp_path: Path, task: str) -> None:
    given = ALL[task]
    assert read_task_scores(tmp_path, task) is None
    write_task_scores(tmp_path, given)
    found = read_task_scores(tmp_path, task)
    assert type(found) is type(given)
    for field in fields(given):
        ours, theirs = getattr(found, field.name), getattr(given, field.name)
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)
    assert found.images == given.images


@pytest.mark.parametrize(("task", "other"), tuple(permutations(ALL, 2)))
def test_those_of_another_task_are_refused(tmp_path: Path, task: str, other: str) -> None:
    write_task_scores(tmp_path, ALL[other])
    with pytest.raises(RequestError, match=f"has the scores of a {other}, expected a {task}'s"):
        read_task_scores(tmp_path, task)


def test_a_file_that_names_no_task_is_a_classification(tmp_path: Path) -> None:
    write_task_scores(tmp_path, CLASSIFIED)
    arrays = load_file(tmp_path / SCORES)
    save_file(arrays, tmp_path / SCORES, {"format": "1", "run": "abc"})
    assert isinstance(read_task_scores(tmp_path, "classification"), ImageScores)
    with pytest.raises(RequestError, match="has the scores of a classification"):
        read_task_scores(tmp_path, "detection")


@pytest.mark.parametrize(
    "changed",
    [
        replace(DETECTED, image=np.array([0, 3, 2], np.int32)),
        replace(DETECTED, label=np.array([0, 2, 1], np.int16)),
        replace(DETECTED, score=np.array([0.9, 1.5, 0.5], np.float32)),
        replace(DETECTED, score=np.array([0.9, np.nan, 0.5], np.float32)),
        replace(DETECTED, matched=np.full((3, 10), 3, np.uint8)),
        replace(DETECTED, boxes=np.array([[0, -2], [0, 0], [1, 0]], np.int32)),
        replace(SEGMENTED, image=np.array([0, 0, 5], np.int32)),
        replace(SEGMENTED, true=np.array([0, -1, 1], np.int16)),
        replace(SEGMENTED, predicted=np.array([0, 3, 1], np.int16)),
        replace(SEGMENTED, pixels=np.array([70_000, 0, 9], np.int32)),
    ],
)
def test_impossible_scores_are_refused(tmp_path: Path, changed: TaskScores) -> None:
    write_task_scores(tmp_path, changed)
    with pytest.raises(RequestError, match="has impossible scores"):
        read_task_scores(tmp_path, "detection" if isinstance(changed, DetectionScores) else "segmentation")


@pytest.mark.parametrize(
    "changed",
    [
        replace(DETECTED, matched=np.zeros((3, 9), np.uint8)),
        replace(DETECTED, matched=np.zeros((2, 10), np.uint8)),
        replace(DETECTED, boxes=np.zeros(3, np.int32)),
        replace(DETECTED, score=np.array([0.9, 0.25, 0.5])),
        replace(SEGMENTED, pixels=np.array([1, 2], np.int32)),
        replace(SEGMENTED, pixels=np.array([1, 2, 3])),
    ],
)
def test_scores_of_another_shape_or_type_are_refused(tmp_path: Path, changed: TaskScores) -> None:
    write_task_scores(tmp_path, changed)
    with pytest.raises(RequestError, match="not written by this version"):
        read_task_scores(tmp_path, "detection" if isinstance(changed, DetectionScores) else "segmentation")


def test_a_segmentation_without_its_number_of_classes_is_refused(tmp_path: Path) -> None:
    write_task_scores(tmp_path, SEGMENTED)
    about = {"format": "1", "run": "abc", "task": "segmentation", "images": "5"}
    save_file(load_file(tmp_path / SCORES), tmp_path / SCORES, about)
    with pytest.raises(RequestError, match="not written by this version"):
        read_task_scores(tmp_path, "segmentation")
