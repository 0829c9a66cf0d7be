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
from foveate.records.base import reading
from foveate.records.boxes import ImageDetections, box_of

__all__ = ["DETECTIONS", "KeptDetections", "keep_detections", "read_detections", "write_detections"]

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
    return KeptDetections(
        box_of(detections.boxes).round(COORDINATE_DECIMALS),
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


def read_detections(
    folder: Path, ids: Sequence[int], categories: Sequence[int], least: float = 0.0
) -> list[KeptDetections] | None:
    """Read the detections in each image from a run's `folder`, by falling score; None without the file.

    Args:
        ids: the image_id of each image.
        categories: the category_id of each class.
        least: detections with a lower score are skipped.

    Raises:
        RequestError: the file is damaged, or is of other images or categories.
    """
    path = folder / DETECTIONS
    if not path.is_file():
        return None
    found: dict[int, list[tuple[float, int, list[float]]]] = {identity: [] for identity in ids}
    places = {category: place for place, category in enumerate(categories)}
    with reading(path):
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row["score"] >= least:
                kept = float(row["score"]), places[row["category_id"]], row["bbox"]
                found[row["image_id"]].append(kept)
        return [_as_kept(rows) for rows in found.values()]


def _as_kept(rows: list[tuple[float, int, list[float]]]) -> KeptDetections:
    rows = sorted(rows, key=lambda row: -row[0])  # stable
    return KeptDetections(
        bbox=np.array([bbox for _, _, bbox in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([label for _, label, _ in rows], dtype=np.int64),
        scores=np.array([score for score, _, _ in rows], dtype=np.float64),
    )
