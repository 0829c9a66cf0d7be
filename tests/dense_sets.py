"""Tiny sets for real trainings of detectors and segmenters: coloured shapes on grey noise, drawn by number.

Each set has 24 images to train and 8 to test, of 64×64 pixels. It is the same whenever it is written.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["SIDE", "boxes_set", "masks_set"]

SIDE = 64
COUNTS = {"train": 24, "val": 8}
COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def boxes_set(folder: Path) -> Path:
    """Write a set with boxes in COCO's layout, of 1 to 3 rectangles an image, and return the folder."""
    random = np.random.default_rng(0)
    categories = [{"id": number, "name": name} for number, name in enumerate(COLOURS, start=1)]
    for part, count in COUNTS.items():
        images, annotations = [], []
        (folder / part).mkdir(parents=True)
        for number in range(1, count + 1):
            pixels = _background(random)
            for _ in range(random.integers(1, 4)):
                label, (x, y, width, height) = _rectangle(random)
                pixels[y : y + height, x : x + width] = [*COLOURS.values()][label]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": label + 1,
                        "bbox": [x, y, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
            name = f"{number:02}.png"
            images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
            Image.fromarray(pixels).save(folder / part / name)
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{part}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def masks_set(folder: Path) -> Path:
    """Write a set with masks: background 0, red 1 and blue 2, and return the folder."""
    random = np.random.default_rng(1)
    for part, count in COUNTS.items():
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for number in range(1, count + 1):
            pixels, mask = _background(random), np.zeros((SIDE, SIDE), np.uint8)
            for _ in range(random.integers(1, 4)):
                label, (x, y, width, height) = _rectangle(random)
                pixels[y : y + height, x : x + width] = [*COLOURS.values()][label]
                mask[y : y + height, x : x + width] = label + 1
            Image.fromarray(pixels).save(folder / "images" / part / f"{number:02}.png")
            Image.fromarray(mask).save(folder / "labels" / part / f"{number:02}.png")
    return folder


def _background(random: np.random.Generator) -> np.ndarray:
    """Return grey noise, uint8 (64, 64, 3)."""
    grey = random.integers(90, 166, (SIDE, SIDE, 1), dtype=np.uint8)
    return np.repeat(grey, 3, axis=2)


def _rectangle(random: np.random.Generator) -> tuple[int, tuple[int, int, int, int]]:
    """Return a label and x, y, width and height of a rectangle within the image, in pixels."""
    label, (width, height) = int(random.integers(2)), map(int, random.integers(14, 33, 2))
    x, y = int(random.integers(SIDE - width + 1)), int(random.integers(SIDE - height + 1))
    return label, (x, y, width, height)
