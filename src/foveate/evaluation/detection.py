"""Scores of a detector on a part of a data set, as COCO's evaluation computes them (Lin et al. 2014)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from foveate.errors import RequestError
from foveate.evaluation.drawn.detection import RECALLS
from foveate.evaluation.matching import MOST, bbox_of
from foveate.records.boxes import ImageBoxes, ImageDetections
from foveate.records.detection_scores import IOU_THRESHOLDS
from foveate.records.detections import keep_detections
from foveate.records.run import ClassScores, Scores

__all__ = ["detection_scores"]


def detection_scores(
    detections: Sequence[ImageDetections], truth: Sequence[ImageBoxes], classes: Sequence[str]
) -> Scores:
    """Return the scores of the detections in each image against the annotated boxes of the same images.

    Average precision is the mean precision at 101 recalls; mAP is its mean over the classes that have boxes
    and the IoU thresholds 0.50, 0.55, …, 0.95. Crowds are neither found nor missed. The size of an object is
    its annotated area; a metric of a size without objects is None, and so are those of a class without boxes.
    `support` counts boxes without crowds. Detections are rounded as detections.json has them.

    Raises:
        RequestError: there is no box to be found, or the evaluation is not installed.
    """
    support = np.zeros(len(classes), dtype=np.int64)
    for there in truth:
        support += np.bincount(there.labels[~there.crowd], minlength=len(classes))
    if not support.any():
        raise RequestError(
            f"no box is annotated in any of the {len(truth)} test images, so that average precision is not "
            "defined: give a test part with objects"
        )
    metric = _library()(
        box_format="xywh",
        iou_thresholds=IOU_THRESHOLDS.tolist(),
        rec_thresholds=RECALLS.tolist(),
        max_detection_thresholds=[1, 10, MOST],
        extended_summary=True,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    metric.update([_found(one) for one in detections], [_there(one) for one in truth])
    found = metric.compute()
    # By threshold, recall, class, size (all of them first) and number of detections (the largest last).
    precision = found["precision"][:, :, :, 0, -1].double().numpy()
    places = {int(label): place for place, label in enumerate(found["classes"].flatten())}
    rows = []
    for label, name in enumerate(classes):
        of_class = precision[:, :, places[label]] if support[label] else None
        rows.append(
            ClassScores(
                name=name,
                ap=None if of_class is None else float(of_class.mean()),
                ap50=None if of_class is None else float(of_class[0].mean()),
                support=int(support[label]),
            )
        )
    names = {"map": "map", "map50": "map_50", "map75": "map_75", "mar100": f"mar_{MOST}"}
    names |= {name: name for name in ("map_small", "map_medium", "map_large")}
    return Scores(
        **{name: _value(found[theirs]) for name, theirs in names.items()},
        per_class=tuple(rows),
    )


def _value(found: torch.Tensor) -> float | None:
    """Return a number of the library, whose -1 stands for what does not exist."""
    value = float(found)
    return None if value < 0 else value


def _found(detections: ImageDetections) -> dict[str, torch.Tensor]:
    kept = keep_detections(detections)
    return {
        "boxes": torch.from_numpy(kept.bbox),
        "labels": torch.from_numpy(kept.labels),
        "scores": torch.from_numpy(kept.scores),
    }


def _there(truth: ImageBoxes) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.from_numpy(bbox_of(truth)),
        "labels": torch.from_numpy(truth.labels.astype(np.int64)),
        "iscrowd": torch.from_numpy(truth.crowd.astype(np.int64)),
        "area": torch.from_numpy(truth.areas.astype(np.float64)),
    }


def _library() -> Any:
    try:
        import faster_coco_eval  # noqa: F401
        from torchmetrics.detection import MeanAveragePrecision
    except ImportError as error:
        raise RequestError(f"detection needs: pip install 'foveate[dense]' ({error})") from error
    return MeanAveragePrecision
