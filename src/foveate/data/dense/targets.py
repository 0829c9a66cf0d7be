"""What training and evaluation of detectors get for one image; a mask is a plain uint8 tensor (H, W)."""

from typing import NamedTuple

from torch import Tensor

from foveate.records.boxes import ImageBoxes

__all__ = ["BoxTargets"]


class BoxTargets(NamedTuple):
    """The annotated boxes of one image on a device.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels of the image beside it, float32 (n, 4).
        labels: index of the class of each box, int64 (n,).
        crowd: whether the box surrounds many objects, which are not told apart, bool (n,).
        areas: of each object, in square pixels, float32 (n,).
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    areas: Tensor

    def as_boxes(self) -> ImageBoxes:
        """Return the boxes as arrays, which evaluations and records use."""
        arrays = (one.cpu().numpy() for one in (self.boxes, self.labels, self.areas, self.crowd))
        return ImageBoxes(*arrays)
