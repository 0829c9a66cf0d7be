"""The boxes of one image: those that were annotated, and those that a detector found."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ImageBoxes", "ImageDetections", "box_of", "corners_of"]


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """The annotated boxes of one image.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels of the stored image, float32 (n, 4).
        labels: index of the class of each box, int64 (n,).
        areas: as the format gives it (in COCO that of the object's mask), in square pixels, float32 (n,).
        crowd: whether the box surrounds many objects, which are not told apart, bool (n,).
    """

    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """The boxes that a detector finds in one image, by falling score.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels of the stored image, float32 (n, 4).
        labels: index of the class of each box, int64 (n,).
        scores: confidence of each box, in 0..1, float32 (n,).
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def box_of(corners: np.ndarray) -> np.ndarray:
    """Return x, y, width and height of boxes that are given as x0, y0, x1, y1, float64 (n, 4)."""
    corners = corners.astype(np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def corners_of(box: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 of boxes that are given as x, y, width and height, float32 (n, 4)."""
    box = box.reshape(-1, 4)
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1).astype(np.float32)
