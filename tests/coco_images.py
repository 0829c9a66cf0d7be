"""Random boxes and detections, with all that is awkward, and pycocotools' evaluation of a results file."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from foveate.records.boxes import ImageBoxes, ImageDetections
from foveate.records.detections import DETECTIONS, write_detections

CLASSES = ("cell", "platelet", "absent", "found only", "crowd only")
CATEGORIES = (3, 7, 8, 11, 20)
"""Category ids: neither from 0 nor without gaps."""


def make_images(seed: int, images: int = 14) -> tuple[list[ImageDetections], list[ImageBoxes]]:
    """Detections and boxes of images, some of which are empty, and one of which has over 100 detections."""
    random = np.random.default_rng(seed)
    detections, truth = [], []
    for index in range(images):
        n = 0 if index in (3, 5) else int(random.integers(1, 9))
        corners = random.uniform(0, 300, (n, 2))
        boxes = np.concatenate([corners, corners + np.exp(random.uniform(2.3, 5.5, (n, 2)))], axis=1)
        boxes = boxes.round(1).astype(np.float32)
        labels = random.integers(0, 2, n)
        crowd = random.random(n) < 0.15
        labels[crowd & (random.random(n) < 0.5)] = 4
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * random.uniform(0.4, 1, n)
        truth.append(ImageBoxes(boxes, labels, areas.astype(np.float32), crowd))
        many = 0 if index in (4, 5) else 260 if index == 6 else int(random.integers(0, 30))
        near = random.integers(0, n, many) if n else np.zeros(many, int)
        base = boxes[near] if n else np.tile(np.float32([10, 10, 60, 90]), (many, 1))
        size = np.tile(base[:, 2:] - base[:, :2], 2)
        found = (base + size * random.normal(0, 0.09, (many, 4))).astype(np.float32)
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        named = np.where(random.random(many) < 0.8, labels[near] if n else 0, random.integers(0, 5, many))
        named[named == 2] = 3
        scores = np.where(random.random(many) < 0.3, random.integers(1, 5, many) / 5, random.random(many))
        order = np.argsort(-scores, kind="stable")
        detections.append(ImageDetections(found[order], named[order], scores[order].astype(np.float32)))
    return detections, truth


def evaluate_file(
    folder: Path, detections: Sequence[ImageDetections], truth: Sequence[ImageBoxes]
) -> COCOeval:
    """Write detections.json into `folder`, and let pycocotools evaluate it against the boxes."""
    ids = [100 + 3 * index for index in range(len(truth))]
    write_detections(folder, detections, ids, CATEGORIES)
    annotations = []
    for identity, there in zip(ids, truth, strict=True):
        for (x0, y0, x1, y1), label, area, crowd in zip(
            there.boxes.astype(float), there.labels, there.areas, there.crowd, strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": identity,
                    "category_id": CATEGORIES[label],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        given = COCO()
        given.dataset = {
            "images": [{"id": identity} for identity in ids],
            "categories": [{"id": category, "name": str(category)} for category in CATEGORIES],
            "annotations": annotations,
        }
        given.createIndex()
        results = json.loads((folder / DETECTIONS).read_text())
        evaluation = COCOeval(given, given.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
