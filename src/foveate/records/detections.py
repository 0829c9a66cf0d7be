"""detections.json: what a run found in the test images, as COCO's results format holds it.

Coordinates have two decimals and scores five. The metrics of the run are computed from these rounded values,
so that whoever evaluates the file gets the same numbers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.files import write_bytes
from foveate.records.boxes import ImageDetections

__all__ = ["DETECTIONS", "KeptDetections", "keep_detections", "write_detections"]

DETECTIONS = "detections.json"
COORDINATE_DECIMALS = 2
SCORE_DECIMALS = 5


@dataclass(frozen=True, eq=False)
class KeptDetections:
    """The detections in one image as the file has them, in the order in which they were given.

    Attributes:
        bbox: x, y, width and height in pixels of the stored image, float64 (n, 4).
        labels: index of the class of each box, int64 (n,).
        scores: confidence of each box, in 0..1, float64 (n,).
    """

    bbox: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def keep_detections(detections: ImageDetections) -> KeptDetections:
    """Return the detections of an image, rounded as the file has them."""
    boxes = detections.boxes.astype(np.float64).reshape(-1, 4)
    bbox = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return KeptDetections(
        bbox.round(COORDINATE_DECIMALS),
        detections.labels.astype(np.int64),
        detections.scores.astype(np.float64).round(SCORE_DECIMALS),
    )


def write_detections(
    folder: Path,
    detections: Sequence[ImageDetections],
    ids: Sequence[int | str],
    categories: Sequence[int],
) -> None:
    """Write detections.json into the run's `folder`, whole or not at all.

    Args:
        detections: of each image.
        ids: the image_id of each image.
        categories: the category_id of each class.
    """
    rows = []
    for identity, of_image in zip(ids, detections, strict=True):
        kept = keep_detections(of_image)
        columns = (kept.bbox.tolist(), kept.labels.tolist(), kept.scores.tolist())
        for bbox, label, score in zip(*columns, strict=True):
            row = {"image_id": identity, "category_id": categories[label], "bbox": bbox, "score": score}
            rows.append(json.dumps(row))
    write_bytes(folder / DETECTIONS, ("[\n" + ",\n".join(rows) + "\n]\n").encode())
