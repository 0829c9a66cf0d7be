"""truth.json: the annotated boxes of a study's test images, as COCO has them (Lin et al. 2014).

With it anyone can evaluate the detections.json of a run again, with pycocotools or another evaluation: the
numbers of images and of categories are the same in both.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from foveate.files import write_bytes
from foveate.records.base import Count, JsonObject, Number, Record, Text, parse_record, reading
from foveate.records.boxes import ImageBoxes, box_of, corners_of

__all__ = ["TRUTH", "Truth", "read_truth", "write_truth"]

TRUTH = "truth.json"


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotated boxes of N test images, in the order of the part.

    Attributes:
        ids: the number of each image.
        names: the name of each image's file.
        sizes: height and width of each image in pixels.
        boxes: of each image.
        categories: the number of each class.
        classes: the names of the classes.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    boxes: tuple[ImageBoxes, ...]
    categories: tuple[int, ...]
    classes: tuple[str, ...]


class _Image(Record):
    id: Count
    file_name: Text
    height: Count
    width: Count


class _Annotation(Record):
    id: Count
    image_id: Count
    category_id: Count
    bbox: Annotated[list[Number], Field(min_length=4, max_length=4)]
    area: Number
    iscrowd: Count


class _Category(Record):
    id: Count
    name: Text


class _Annotations(Record):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def write_truth(folder: Path, truth: Truth) -> None:
    """Write truth.json into the study's `folder`, whole or not at all: a row of JSON a line."""
    annotations: list[JsonObject] = []
    for identity, of_image in zip(truth.ids, truth.boxes, strict=True):
        columns = (
            of_image.labels.tolist(),
            box_of(of_image.boxes).tolist(),
            of_image.areas.astype(np.float64).tolist(),
            of_image.crowd.tolist(),
        )
        for label, bbox, area, crowd in zip(*columns, strict=True):
            place = {"id": len(annotations) + 1, "image_id": identity, "category_id": truth.categories[label]}
            annotations.append({**place, "bbox": bbox, "area": area, "iscrowd": int(crowd)})
    described = zip(truth.ids, truth.names, truth.sizes, strict=True)
    content = {
        "images": [
            {"id": identity, "file_name": name, "height": height, "width": width}
            for identity, name, (height, width) in described
        ],
        "annotations": annotations,
        "categories": [
            {"id": identity, "name": name}
            for identity, name in zip(truth.categories, truth.classes, strict=True)
        ],
    }
    parts = (
        f"{json.dumps(key)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]" for key, rows in content.items()
    )
    write_bytes(folder / TRUTH, ("{" + ",\n".join(parts) + "}\n").encode())


def read_truth(folder: Path) -> Truth | None:
    """Read the boxes of the test images of the study in `folder`; None where they were not kept.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    path = folder / TRUTH
    if not path.is_file():
        return None
    with reading(path):
        found = parse_record(_Annotations, json.loads(path.read_text(encoding="utf-8")), path)
        places = {category.id: place for place, category in enumerate(found.categories)}
        rows: dict[int, list[_Annotation]] = {image.id: [] for image in found.images}
        for annotation in found.annotations:
            rows[annotation.image_id].append(annotation)
        boxes = tuple(_boxes(rows[image.id], places) for image in found.images)
    return Truth(
        ids=tuple(image.id for image in found.images),
        names=tuple(image.file_name for image in found.images),
        sizes=tuple((image.height, image.width) for image in found.images),
        boxes=boxes,
        categories=tuple(places),
        classes=tuple(category.name for category in found.categories),
    )


def _boxes(rows: list[_Annotation], places: dict[int, int]) -> ImageBoxes:
    return ImageBoxes(
        boxes=corners_of(np.array([row.bbox for row in rows], dtype=np.float64)),
        labels=np.array([places[row.category_id] for row in rows], dtype=np.int64),
        areas=np.array([row.area for row in rows], dtype=np.float32),
        crowd=np.array([row.iscrowd for row in rows], dtype=bool),
    )
