"""Small sets of images with boxes and with masks: coloured shapes on grey noise, in the layouts of users."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["boxes_set", "masks_set"]

NAMES = ["red", "green", "blue"]
COLOURS = ((210, 40, 40), (40, 180, 60), (50, 70, 220))
PARTS = {"train": 24, "val": 8}
SIDES = (64, 80)
"""Height and width of each image."""


def boxes_set(folder: Path) -> Path:
    """Write COCO files with their images: one to three rectangles an image, whose colour is their class."""
    for number, (part, images) in enumerate(PARTS.items()):
        random = np.random.default_rng(number)
        rows, annotations = [], []
        (folder / part).mkdir(parents=True)
        (folder / "annotations").mkdir(exist_ok=True)
        for image in range(images):
            pixels, found = _draw(random)
            name = f"{part}{image:02}.png"
            Image.fromarray(pixels).save(folder / part / name)
            rows.append({"id": 10 + image, "file_name": name, "height": SIDES[0], "width": SIDES[1]})
            for label, (x, y, width, height) in found:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": 10 + image,
                        "category_id": 3 * label + 1,
                        "bbox": [x, y, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": 3 * label + 1, "name": name} for label, name in enumerate(NAMES)]
        content = {"images": rows, "annotations": annotations, "categories": categories}
        path = folder / "annotations" / f"instances_{part}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def masks_set(folder: Path) -> Path:
    """Write images/{train,val} and labels/{train,val}: the same pictures, with the class of each pixel.

    Class 0 is the background; the outline of each rectangle is 255, which is ignored.
    """
    for number, (part, images) in enumerate(PARTS.items()):
        random = np.random.default_rng(number)
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for image in range(images):
            pixels, found = _draw(random)
            mask = np.zeros(SIDES, np.uint8)
            for label, (x, y, width, height) in found:
                mask[y : y + height, x : x + width] = 255
                mask[y + 1 : y + height - 1, x + 1 : x + width - 1] = label + 1
            Image.fromarray(pixels).save(folder / "images" / part / f"{image:02}.png")
            Image.fromarray(mask).save(folder / "labels" / part / f"{image:02}.png")
    return folder


def _draw(random: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, tuple[int, int, int, int]]]]:
    """Return an image (H, W, 3) and its rectangles: the label, and x, y, width and height."""
    pixels = random.integers(90, 150, (*SIDES, 3), dtype=np.uint8)
    found = []
    for _ in range(int(random.integers(1, 4))):
        label = int(random.integers(len(NAMES)))
        width, height = (int(one) for one in random.integers(14, 30, 2))
        x, y = int(random.integers(0, SIDES[1] - width)), int(random.integers(0, SIDES[0] - height))
        pixels[y : y + height, x : x + width] = COLOURS[label]
        found.append((label, (x, y, width, height)))
    return pixels, found
