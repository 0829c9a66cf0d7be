"""Augment whole batches on the training device, each image with random numbers of its own.

Each function takes images in 0..1, float (B, C, H, W), the generator that it draws from (on the images'
device) and the `Augmentation` with its sizes, and returns new images. The same generator state gives the
same result.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from foveate.data.augmentation_names import CROPS, check_augmentations
from foveate.data.luminance import luminance

__all__ = ["AUGMENTATIONS", "Augmentation", "centre", "seen"]


def crop(images: Tensor, generator: Generator, settings: "Augmentation") -> Tensor:
    """Cut a square of `image_size` at a random place, after zero padding (He et al. 2016, section 4.2)."""
    size, padding = settings.image_size, settings.padding
    padded = F.pad(images, (padding, padding, padding, padding))
    places = padded.shape[-1] - size + 1
    top, left = torch.randint(places, (2, len(images)), generator=generator, device=images.device)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # (B, C, places, places, s, s), a view
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def resized_crop(images: Tensor, generator: Generator, settings: "Augmentation") -> Tensor:
    """Cut out 8..100 % of the area at an aspect ratio of 3/4..4/3, resized (Szegedy et al. 2015, section 6).

    Known difference: a side that would be longer than the image is cut to it, where torchvision draws again.
    Corners are not rounded to whole pixels.
    """
    count, size = len(images), settings.image_size
    area = _uniform((count,), 0.08, 1.0, generator, images)
    ratio = _log_uniform(count, 3 / 4, 4 / 3, generator, images)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    # In the coordinates of grid_sample the image spans -1..1: a centre may move by 1 - side either way.
    x = (1 - width) * _uniform((count,), -1, 1, generator, images)
    y = (1 - height) * _uniform((count,), -1, 1, generator, images)
    zero = torch.zeros_like(x)
    theta = torch.stack([width, zero, x, zero, height, y], dim=1).view(count, 2, 3)
    grid = F.affine_grid(theta, [count, images.shape[1], size, size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def flip(images: Tensor, generator: Generator, settings: "Augmentation") -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)


def jitter(images: Tensor, generator: Generator, settings: "Augmentation") -> Tensor:
    """Scale brightness, then contrast, then saturation, each by a factor in 0.6..1.4.

    Grey images keep their (absent) saturation. Known difference: torchvision shuffles the order.
    """
    brightness, contrast, saturation = _uniform((3, len(images), 1, 1, 1), 0.6, 1.4, generator, images)
    images = (images * brightness).clamp(0, 1)
    average = luminance(images).mean(dim=(1, 2, 3), keepdim=True)
    images = torch.lerp(average, images, contrast).clamp(0, 1)
    if images.shape[1] == 1:
        return images
    return torch.lerp(luminance(images), images, saturation).clamp(0, 1)


def erase(images: Tensor, generator: Generator, settings: "Augmentation") -> Tensor:
    """Set a rectangle of 2..33 % of the area to the mean colour, with probability 1/2 (Zhong et al. 2020).

    Known difference: a side that would be longer than the image is cut to it, where the paper draws again.
    """
    count, height, width = len(images), *images.shape[2:]
    erased = torch.rand(count, generator=generator, device=images.device) < 0.5
    area = _uniform((count,), 0.02, 0.33, generator, images)
    ratio = _log_uniform(count, 0.3, 1 / 0.3, generator, images)
    rows = _inside((area * ratio).sqrt(), height, generator).view(count, 1, height, 1)
    columns = _inside((area / ratio).sqrt(), width, generator).view(count, 1, 1, width)
    return torch.where(erased.view(-1, 1, 1, 1) & rows & columns, settings.mean, images)


AUGMENTATIONS: dict[str, Callable[[Tensor, Generator, "Augmentation"], Tensor]] = {
    "crop": crop,
    "resized_crop": resized_crop,
    "flip": flip,
    "jitter": jitter,
    "erase": erase,
}
"""Augmentations by name, in the order in which they are applied."""


class Augmentation(nn.Module):
    """Converts uint8 canvases (B, C, S, S) to normalised float crops (B, C, s, s), augmented or not.

    The steps are applied in the order of `AUGMENTATIONS`, whatever the order of `names`; without a random
    crop the centre is cut out. The module moves with `.to(device)` and adds nothing to a state dict.

    Args:
        names: keys of `AUGMENTATIONS`.
        image_size: s, in pixels.
        padding: zeros around the canvas before a random crop, in pixels.
        mean: of each channel, in 0..1.
        std: of each channel, in 0..1.

    Raises:
        RequestError: an unknown name, or both kinds of random crop.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, names: Sequence[str], image_size: int, padding: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        check_augmentations(names)
        self.names = tuple(name for name in AUGMENTATIONS if name in names)
        self.image_size, self.padding = image_size, padding
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor, generator: Generator) -> Tensor:
        """Augment for training; `generator` is on the images' device."""
        images = images.float() / 255
        if not set(CROPS) & set(self.names):
            images = centre(images, self.image_size)
        for name in self.names:
            images = AUGMENTATIONS[name](images, generator, self)
        return (images - self.mean) / self.std

    def unaugmented(self, images: Tensor) -> Tensor:
        """Cut out the centre and normalise, for evaluation, without any randomness."""
        return (seen(images, self.image_size) - self.mean) / self.std


def centre(images: Tensor, size: int) -> Tensor:
    """Cut the middle square out of images (…, H, W), as a view (…, size, size)."""
    top, left = ((side - size) // 2 for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def seen(canvases: Tensor, size: int) -> Tensor:
    """Return what a network sees of uint8 canvases (B, C, S, S), in 0..1 and not normalised."""
    return centre(canvases, size).float() / 255


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator, like: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)


def _log_uniform(count: int, low: float, high: float, generator: Generator, like: Tensor) -> Tensor:
    return _uniform((count,), math.log(low), math.log(high), generator, like).exp()


def _inside(fraction: Tensor, length: int, generator: Generator) -> Tensor:
    """Return masks (B, length) of one random interval each, `fraction` (B,) of length, at least one pixel."""
    sides = (fraction * length).round().clamp(1, length)
    start = (torch.rand(sides.shape, generator=generator, device=sides.device) * (length - sides + 1)).floor()
    place = torch.arange(length, device=sides.device)
    return (place >= start[:, None]) & (place < (start + sides)[:, None])
