"""The augmentation of one image with its mask; random numbers are those of torch's global CPU generator."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional
from torchvision.tv_tensors import Image, Mask

from foveate.records.masks import IGNORED

__all__ = ["MaskSteps"]

FACTORS = (0.5, 2.0)
"""Smallest and largest factor of both sides of the image; all between are equally likely."""
REPEATS = 10
"""How often a crop without a labelled pixel is drawn again."""


class MaskSteps(nn.Module):
    """Scales, crops, flips and jitters one image with its mask, as far as `names` say.

    The result is a square of `size` pixels: at a random place with "crop", in the middle without. What lies
    outside the image has the mean colour and the label 255. A random crop holds a labelled pixel if the mask
    has one: it is drawn again up to ten times, and then around a labelled pixel that is drawn. Brightness,
    contrast and saturation change by factors in 0.6..1.4, as in `foveate.data.augment`, in a random order.
    """

    def __init__(self, names: Sequence[str], size: int) -> None:
        super().__init__()
        self.names, self.size = names, size
        self.flip = v2.RandomHorizontalFlip()
        self.jitter = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)

    def forward(self, image: Tensor, mask: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Augment a uint8 image (C, H, W) and its mask (H, W): normalised float (C, S, S), int64 (S, S)."""
        if "scale" in self.names:
            image, mask = _scaled(image, mask)
        top, left = self._random_place(mask) if "crop" in self.names else self._middle(mask)
        rows, columns = self._inside(top), self._inside(left)
        pixels = Image(image[:, rows, columns].float() / 255)
        if "jitter" in self.names:
            pixels = self.jitter(pixels)
        labels = Mask(mask[rows, columns])
        height, width = labels.shape
        above, before = max(-top, 0), max(-left, 0)
        padding = [before, above, self.size - width - before, self.size - height - above]
        pixels = functional.pad(Image((pixels.as_subclass(Tensor) - mean) / std), padding, fill=0)
        labels = functional.pad(labels, padding, fill=IGNORED)
        if "flip" in self.names:
            pixels, labels = self.flip(pixels, labels)
        return pixels.as_subclass(Tensor), labels.as_subclass(Tensor).long()

    def _inside(self, start: int) -> slice:
        """Return the rows or columns of the image in a crop that begins at `start`, which may be negative."""
        return slice(max(start, 0), start + self.size)

    def _middle(self, mask: Tensor) -> tuple[int, int]:
        top, left = ((side - self.size) // 2 for side in mask.shape)
        return top, left

    def _random_place(self, mask: Tensor) -> tuple[int, int]:
        """Draw the top and the left of a crop; they are negative for an image that is smaller than it."""
        labelled = mask != IGNORED
        has_labels = bool(labelled.any())
        ranges = [(min(0, side - self.size), max(0, side - self.size)) for side in mask.shape]
        for _ in range(1 + REPEATS):
            top, left = (_integer(low, high) for low, high in ranges)
            if not has_labels or labelled[self._inside(top), self._inside(left)].any():
                return top, left
        points = labelled.nonzero()
        point = points[_integer(0, len(points) - 1)].tolist()
        top, left = (
            _integer(max(low, at - self.size + 1), min(high, at))
            for at, (low, high) in zip(point, ranges, strict=True)
        )
        return top, left


def _scaled(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Resize an image (bilinear, antialiased) and its mask (nearest pixel) by one random factor."""
    factor = torch.empty(()).uniform_(*FACTORS).item()
    size = [max(round(side * factor), 1) for side in mask.shape]
    resized = functional.resize(Image(image), size, antialias=True)
    # The function for masks takes the pixel at the upper left; NEAREST_EXACT takes that at the centre.
    labels = functional.resize(Image(mask[None]), size, interpolation=InterpolationMode.NEAREST_EXACT)
    return resized.as_subclass(Tensor), labels.as_subclass(Tensor)[0]


def _integer(low: int, high: int) -> int:
    """Draw an integer between `low` and `high`, both included."""
    return int(torch.randint(low, high + 1, ()).item())
