"""Metrics of segmentations on draws: against those of the task on the images of the draw."""

import numpy as np
import pytest

from foveate.evaluation.drawn.dense import drawn_dense, metrics_of
from foveate.evaluation.drawn.segmentation import SegmentationSums
from foveate.evaluation.resampling import draw_images
from foveate.evaluation.segmentation import segmentation_scores
from foveate.records.segmentation_scores import keep_confusions

RANDOM = np.random.default_rng(2)
CONFUSIONS = RANDOM.poisson(20, (8, 4, 4)) + 60 * np.eye(4, dtype=int)
CONFUSIONS[:6, 3] = 0  # a class that only two images have, so that some draws have none of it
NAMES = ("miou", "dice", "pixel_accuracy")


def test_a_draw_has_the_metrics_of_its_images() -> None:
    scores = keep_confusions("r", CONFUSIONS)
    found = drawn_dense(scores, draws=40)
    counts = np.concatenate(list(draw_images(8, 40)), axis=1).astype(int)
    without = 0
    for draw in range(40):
        chosen = np.repeat(np.arange(8), counts[:, draw])
        expected = segmentation_scores(CONFUSIONS[chosen], 0.0, "abcd")
        without += expected.per_class[3].iou is None
        for name in NAMES:
            assert found[name][draw] == pytest.approx(getattr(expected, name), abs=1e-12), name
    assert 0 < without < 40


def test_all_images_once_have_the_metrics_of_the_record() -> None:
    expected = segmentation_scores(CONFUSIONS, 0.0, "abcd")
    assert metrics_of(keep_confusions("r", CONFUSIONS)) == pytest.approx(
        {name: getattr(expected, name) for name in NAMES}
    )


def test_a_draw_without_labelled_pixels_has_zeros() -> None:
    confusions = np.stack([np.eye(2, dtype=int), np.zeros((2, 2), int)])
    found = SegmentationSums(keep_confusions("r", confusions)).metrics(np.array([[0.0, 1], [2, 1]]))
    assert {name: values.tolist() for name, values in found.items()} == {name: [0, 1] for name in NAMES}
