"""Scores of segmentations: against torchmetrics and scikit-learn, and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from foveate.errors import RequestError
from foveate.evaluation.segmentation import confusion_of, segmentation_scores
from foveate.records.segmentation_scores import keep_confusions

CLASSES = ("road", "car", "tree")
TORCH = torch.Generator().manual_seed(4)
TARGETS = torch.randint(0, 3, (4, 9, 13), generator=TORCH)
TARGETS[torch.rand(TARGETS.shape, generator=TORCH) < 0.1] = 255
NAMED = torch.where(torch.rand(TARGETS.shape, generator=TORCH) < 0.6, TARGETS.clamp(max=2), 0)


def confusions() -> np.ndarray:
    matrices = [confusion_of(named, there, 3) for named, there in zip(NAMED, TARGETS, strict=True)]
    return torch.stack(matrices).numpy()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_the_confusion_of_an_image_counts_its_labelled_pixels(dtype: torch.dtype) -> None:
    found = confusion_of(NAMED[0].to(dtype), TARGETS[0].to(dtype), 3)
    labelled = TARGETS[0] != 255
    expected = confusion_matrix(TARGETS[0][labelled], NAMED[0][labelled], labels=range(3))
    assert found.dtype == torch.int64
    assert found.tolist() == expected.tolist()


def test_scores_are_those_of_torchmetrics_and_scikit_learn() -> None:
    found = segmentation_scores(confusions(), 0.25, CLASSES)
    labelled = TARGETS != 255
    named, there = NAMED[labelled], TARGETS[labelled]
    ious = multiclass_jaccard_index(named, there, 3, average=None)
    assert [row.iou for row in found.per_class] == pytest.approx(ious.tolist(), abs=1e-6)
    assert found.miou == pytest.approx(jaccard_score(there, named, average="macro"))
    dices = multiclass_f1_score(named, there, 3, average=None)
    assert [row.dice for row in found.per_class] == pytest.approx(dices.tolist(), abs=1e-6)
    assert found.dice == pytest.approx(dices.mean().item(), abs=1e-6)
    assert found.pixel_accuracy == pytest.approx((named == there).double().mean().item())
    assert [row.support for row in found.per_class] == torch.bincount(there, minlength=3).tolist()
    assert found.loss == 0.25
    assert segmentation_scores(confusions().sum(axis=0), 0.25, CLASSES) == found


def test_a_class_without_labelled_pixels_has_no_score_and_is_in_no_mean() -> None:
    # Of ten pixels of road, two are taken for tree, which is nowhere: road has 6 / (10 + 1), car 4 / (5 + 2).
    total = np.array([[6, 2, 2], [1, 4, 0], [0, 0, 0]])
    found = segmentation_scores(total, 1.0, CLASSES)
    assert found.miou == pytest.approx((6 / 11 + 4 / 7) / 2)
    assert found.dice == pytest.approx((12 / 17 + 8 / 11) / 2)
    assert found.pixel_accuracy == pytest.approx(10 / 15)
    assert [row.accuracy for row in found.per_class] == [0.6, 0.8, None]
    assert (found.per_class[2].iou, found.per_class[2].dice, found.per_class[2].support) == (None, None, 0)
    assert found.confusion == ((6, 2, 2), (1, 4, 0), (0, 0, 0))


def test_a_part_without_labelled_pixels_is_refused() -> None:
    with pytest.raises(RequestError, match="no pixel of any test image is labelled"):
        segmentation_scores(np.zeros((2, 3, 3)), 1.0, CLASSES)


def test_the_kept_places_are_the_matrices() -> None:
    kept = keep_confusions("r", confusions())
    assert (kept.confusion() == confusions().sum(axis=0)).all()
    again = np.zeros((4, 3, 3), int)
    again[kept.image, kept.true, kept.predicted] = kept.pixels
    assert (again == confusions()).all()
    assert (kept.images, kept.classes) == (4, 3)
