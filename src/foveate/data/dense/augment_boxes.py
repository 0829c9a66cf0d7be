"""The augmentation of one image with its boxes; random numbers are those of torch's global CPU generator."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional
from torchvision.tv_tensors import BoundingBoxes, Image

from foveate.data.dense.targets import BoxTargets

__all__ = ["BoxSteps"]

FACTORS = (0.8, 1.25)
"""Smallest and largest factor of both sides of the image; all between are equally likely."""


class BoxSteps(nn.Module):
    """Scales, crops, flips and jitters one image with its boxes, as far as `names` say.

    A crop is that of SSD (Liu et al. 2016, section 2.2): it overlaps with a box by a share that is drawn, and
    boxes whose centre is outside are removed. Boxes of less than one pixel are removed after scale and crop.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self.crop = v2.RandomIoUCrop()
        self.flip = v2.RandomHorizontalFlip()
        self.jitter = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)

    def forward(self, image: Tensor, target: BoxTargets) -> tuple[Tensor, BoxTargets]:
        """Augment a uint8 image (C, H, W); the result is float in 0..1."""
        pixels = Image(image)
        height, width = image.shape[-2:]
        boxes = BoundingBoxes(target.boxes, format="XYXY", canvas_size=(height, width))
        if "scale" in self.names:
            factor = torch.empty(()).uniform_(*FACTORS).item()
            size = [max(round(side * factor), 1) for side in (height, width)]
            pixels, boxes = (functional.resize(one, size, antialias=True) for one in (pixels, boxes))
        if "crop" in self.names and len(boxes):  # without boxes no crop overlaps with one, after many draws
            pixels, boxes = self.crop(pixels, boxes)
        if {"scale", "crop"} & set(self.names):
            target, boxes = _kept(target, boxes)
        if "flip" in self.names:
            pixels, boxes = self.flip(pixels, boxes)
        pixels = Image(pixels.float() / 255)
        if "jitter" in self.names:
            pixels = self.jitter(pixels)
        return pixels.as_subclass(Tensor), target._replace(boxes=boxes.as_subclass(Tensor))


def _kept(target: BoxTargets, moved: BoundingBoxes) -> tuple[BoxTargets, BoundingBoxes]:
    """Return the target and the moved boxes without those of which hardly anything is left.

    The area of an object shrinks or grows with its box.
    """
    clamped = functional.clamp_bounding_boxes(moved)
    boxes, is_kept = functional.sanitize_bounding_boxes(clamped)
    share = _areas(boxes.as_subclass(Tensor)) / _areas(target.boxes[is_kept])
    labels, crowd = target.labels[is_kept], target.crowd[is_kept]
    return target._replace(labels=labels, crowd=crowd, areas=target.areas[is_kept] * share), boxes


def _areas(boxes: Tensor) -> Tensor:
    """Return the area of each box (n, 4), in square pixels, (n,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
