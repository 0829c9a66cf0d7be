"""Tiny sets of images with boxes and with masks, which a training of a few steps takes."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = {"train": 24, "val": 8}
SIDE = 64
CLASSES = ("bright", "dark")
VALUES = {"bright": 230, "dark": 25}


def boxes_set(folder: Path) -> Path:
    """Write images of bright and dark rectangles, with COCO files of their boxes, and return `folder`."""
    for part, count in PARTS.items():
        listed = {
            "images": [],
            "annotations": [],
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(CLASSES)],
        }
        for index in range(count):
            image, rectangles = _picture(part, index)
            path = folder / part / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            listed["images"].append({"id": index, "file_name": path.name, "width": SIDE, "height": SIDE})
            for label, (x, y, width, height) in rectangles:
                listed["annotations"].append(
                    {
                        "id": len(listed["annotations"]) + 1,
                        "image_id": index,
                        "category_id": label + 1,
                        "bbox": [x, y, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
        file = folder / "annotations" / f"instances_{part}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(listed))
    return folder


def masks_set(folder: Path) -> Path:
    """Write the same images with masks: 0 is the ground, 1 bright, 2 dark; return `folder`."""
    for part, count in PARTS.items():
        for index in range(count):
            image, rectangles = _picture(part, index)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for label, (x, y, width, height) in rectangles:
                mask[y : y + height, x : x + width] = label + 1
            for kind, pixels in (("images", image), ("masks", mask)):
                path = folder / part / kind / f"{index:03}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    (folder / "classes.txt").write_text("ground\nbright\ndark\n")
    return folder


def _picture(part: str, index: int) -> tuple[np.ndarray, list[tuple[int, tuple[int, int, int, int]]]]:
    """Return an image (H, W, 3) and its rectangles: label, and x, y, width, height in pixels."""
    random = np.random.default_rng([len(part), index])
    image = random.integers(90, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    rectangles = []
    for label in (index % 2, int(random.integers(2)))[: 1 + index % 2]:
        width, height = map(int, random.integers(16, 30, 2))
        x, y = int(random.integers(SIDE - width)), int(random.integers(SIDE - height))
        image[y : y + height, x : x + width] = VALUES[CLASSES[label]]
        rectangles.append((label, (x, y, width, height)))
    return image, rectangles
