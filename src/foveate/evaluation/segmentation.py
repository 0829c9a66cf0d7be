"""Scores of a segmenter on a part of a data set, from the confusion matrices of its images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from foveate.errors import RequestError
from foveate.evaluation.drawn.segmentation import dice_of, iou_of
from foveate.records.masks import IGNORED
from foveate.records.run import ClassScores, Scores

__all__ = ["confusion_of", "segmentation_scores"]


def confusion_of(predicted: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the confusion matrix of images, int64 (K, K), pixels by true row and predicted column.

    Args:
        predicted: index of the class that the network names at each pixel, (…, H, W), any whole type.
        target: index of the class that is there, (…, H, W) on the same device; 255 is not counted.
        classes: number K of classes.
    """
    places = target.long() * classes + predicted.long()
    places = places.where(target != IGNORED, classes**2).flatten()
    counts = torch.zeros(classes**2 + 1, dtype=torch.int64, device=target.device)
    # bincount would wait for a GPU to learn the largest place.
    return counts.scatter_add_(0, places, torch.ones_like(places))[:-1].reshape(classes, classes)


def segmentation_scores(confusions: np.ndarray, loss: float, classes: Sequence[str]) -> Scores:
    """Return the scores from confusion matrices, (N, K, K) of N images or (K, K) of all of them together.

    IoU of a class is TP / (TP + FP + FN), Dice is 2 TP / (2 TP + FP + FN), accuracy TP / (TP + FN), each over
    all pixels of all images together. mIoU and Dice are means over the classes that have labelled pixels;
    those of a class without any are None. Pixels of the others that are taken for such a class count as
    missed in their own class.

    Raises:
        RequestError: no pixel is labelled.
    """
    count = len(classes)
    total = np.asarray(confusions, dtype=np.int64).reshape(-1, count, count).sum(axis=0)
    right, there, named = np.diag(total), total.sum(axis=1), total.sum(axis=0)
    is_there = there > 0
    if not is_there.any():
        raise RequestError(
            "no pixel of any test image is labelled, so that IoU is not defined: give a test part with labels"
        )
    iou, dice = iou_of(right, there, named), dice_of(right, there, named)
    rows = [
        ClassScores(
            name=name,
            iou=float(iou[label]) if is_there[label] else None,
            dice=float(dice[label]) if is_there[label] else None,
            accuracy=float(right[label] / there[label]) if is_there[label] else None,
            support=int(there[label]),
        )
        for label, name in enumerate(classes)
    ]
    return Scores(
        miou=float(iou[is_there].mean()),
        dice=float(dice[is_there].mean()),
        pixel_accuracy=float(right.sum() / there.sum()),
        loss=loss,
        per_class=tuple(rows),
        confusion=tuple(map(tuple, total.tolist())),
    )
