"""Stores of images with boxes or masks: images of any size, decoded once and kept, or on demand."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data.images import UnreadableImageError, broken_images, decode
from foveate.data.parts import Part
from foveate.data.store import ImageStore
from foveate.errors import RequestError

__all__ = ["DenseStore", "Target", "decode_image"]

Target = Callable[[int], Any]
"""Returns the target of the image at a position: its boxes, or its mask."""


class DenseStore(ImageStore):
    """Images of one part, uint8 (C, H, W) of any size, with a target each.

    Args:
        part: the images; their labels are not used.
        targets: the target of the image at a position. Picklable, for the worker processes of a DataLoader.
        channels: 3, or 1 for greyscale.
        kept: the decoded images and targets; None decodes them on demand.
    """

    def __init__(
        self, part: Part, targets: Target, channels: int, kept: Sequence[tuple[Tensor, Any]] | None = None
    ) -> None:
        self.part, self.targets, self.channels, self.kept = part, targets, channels, kept
        self.labels = part.labels
        self.in_memory = kept is not None

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> tuple[list[Tensor], list[Any]]:
        """Return the images, uint8 (C, H, W), and the targets of these indices, as lists.

        Raises:
            RequestError: an image or a mask is broken.
        """
        found = [self.load(int(index)) for index in indices]
        return [image for image, _ in found], [target for _, target in found]

    def load(self, index: int) -> tuple[Tensor, Any]:
        """Return the image at a position, uint8 (C, H, W), and its target."""
        if self.kept is not None:
            return self.kept[index]
        try:
            return self.read(index)
        except UnreadableImageError as error:
            raise broken_images([(self.part.where(index), error)]) from error

    def read(self, index: int) -> tuple[Tensor, Any]:
        """Decode the image at a position, and return it with its target.

        Raises:
            UnreadableImageError: the image is broken.
            RequestError: the mask is broken, or of another size.
        """
        image = decode_image(self.part, index, self.channels)
        target = self.targets(index)
        if isinstance(target, Tensor) and target.shape != image.shape[1:]:
            sizes = [f"{width}×{height}" for height, width in (target.shape, image.shape[1:])]
            raise RequestError(
                f"the mask of {self.part.where(index)} has {sizes[0]} pixels, and the image {sizes[1]}: "
                "expected the same size"
            )
        return image, target


def decode_image(part: Part, index: int, channels: int) -> Tensor:
    """Decode an image upright, as boxes and masks are: uint8 (channels, H, W).

    Raises:
        UnreadableImageError: see `foveate.data.images.decode`.
    """
    pixels, header = decode(part[index], None)
    if pixels.ndim == 2:
        planes = np.broadcast_to(pixels, (channels, *pixels.shape))
    elif channels == 3:
        planes = pixels.transpose(2, 0, 1)
    else:
        raise UnreadableImageError(
            f"it has colour (mode {header.mode}), and the other images are greyscale: convert it, or them"
        )
    return torch.from_numpy(np.array(planes, order="C"))
