"""Which detections of an image match which of its boxes, as COCO's evaluation decides (Lin et al. 2014).

In each image and class, detections choose by falling score. A detection takes the box that it overlaps most
among those that are not taken, if the intersection over union (IoU) is at least the threshold. Only where
there is none, it may be matched with a crowd: a crowd takes any number of detections, and its overlap is the
share of the detection that lies within it. Of equal overlaps the later box is taken. This is the procedure of
pycocotools' `COCOeval.evaluateImg` for objects of any size.
"""

from collections.abc import Sequence

import numpy as np

from foveate.records.boxes import ImageBoxes, ImageDetections, box_of
from foveate.records.detection_scores import IOU_THRESHOLDS, MATCHED, MATCHED_CROWD, DetectionScores
from foveate.records.detections import keep_detections

__all__ = ["MOST", "bbox_of", "match_detections", "overlaps"]

MOST = 100
"""Detections of a class in an image that are used: those with the highest scores."""


def match_detections(
    run: str, detections: Sequence[ImageDetections], truth: Sequence[ImageBoxes], classes: int
) -> DetectionScores:
    """Return what each detection in the images matches at each threshold, for the run with the id `run`.

    Detections are rounded as detections.json has them.

    Args:
        run: the run's id.
        detections: of each of N images.
        truth: the annotated boxes of the same images.
        classes: number K of classes.
    """
    image, label, score, matched = [], [], [], []
    boxes = np.zeros((len(truth), classes), dtype=np.int32)
    for index, (found, there) in enumerate(zip(detections, truth, strict=True)):
        boxes[index] = np.bincount(there.labels[~there.crowd], minlength=classes)
        kept = keep_detections(found)
        order = np.lexsort((-kept.scores, kept.labels))
        order = order[_rank_in_class(kept.labels[order]) < MOST]
        labels, bbox = kept.labels[order], kept.bbox[order]
        flags = np.zeros((len(order), len(IOU_THRESHOLDS)), dtype=np.uint8)
        for name in np.intersect1d(labels, there.labels):
            of_class, ours = labels == name, there.labels == name
            flags[of_class] = _match(bbox[of_class], bbox_of(there)[ours], there.crowd[ours])
        image.append(np.full(len(order), index))
        label.append(labels)
        score.append(kept.scores[order])
        matched.append(flags)
    return DetectionScores(
        run,
        image=np.concatenate(image).astype(np.int32),
        label=np.concatenate(label).astype(np.int16),
        score=np.concatenate(score).astype(np.float32),
        matched=np.concatenate(matched),
        boxes=boxes,
    )


def bbox_of(truth: ImageBoxes) -> np.ndarray:
    """Return x, y, width and height of the boxes in pixels, float64 (n, 4)."""
    return box_of(truth.boxes)


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """Return the place of each element among those of its label, from 0; `labels` are sorted."""
    return np.arange(len(labels)) - np.searchsorted(labels, labels)


def _match(found: np.ndarray, boxes: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the flags (d, 10) of detections (d, 4), by falling score, of one class in one image."""
    found_overlaps = overlaps(found, boxes, crowd)
    single, of_crowds = found_overlaps[:, ~crowd], found_overlaps[:, crowd]
    flags = np.zeros((len(found), len(IOU_THRESHOLDS)), dtype=np.uint8)
    if of_crowds.size:
        flags[of_crowds.max(axis=1)[:, None] >= IOU_THRESHOLDS] = MATCHED_CROWD
    if not single.size:
        return flags
    is_free = np.ones((len(IOU_THRESHOLDS), single.shape[1]), dtype=bool)
    last = single.shape[1] - 1
    for place in np.flatnonzero(single.max(axis=1) >= IOU_THRESHOLDS[0]):
        can = is_free & (single[place] >= IOU_THRESHOLDS[:, None])
        thresholds = np.flatnonzero(can.any(axis=1))
        best = np.where(can[thresholds], single[place], -1.0)
        is_free[thresholds, last - best[:, ::-1].argmax(axis=1)] = False
        flags[place, thresholds] = MATCHED
    return flags


def overlaps(found: np.ndarray, boxes: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU of detections (d, 4) and boxes (g, 4), (d, g); of a crowd the share of the detection.

    Both are x, y, width and height in pixels, and `crowd` (g,) says which boxes are crowds.
    """
    a, b = found[:, None], boxes[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    width, height = np.maximum(high - low, 0).transpose(2, 0, 1)
    shared = width * height
    area, other = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    whole = np.where(crowd, area, area + other - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)
