"""Blurs: defocus, glass, motion and zoom."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from foveate.data.corruptions.filters import blur, pad_mirrored, smear, zoom_in

__all__ = ["defocus_blur", "disk", "glass_blur", "motion_blur", "zoom_blur"]


def defocus_blur(images: Tensor, generator: Generator, radius: float, alias_blur: float) -> Tensor:
    """Convolve with a `disk`, like a lens out of focus; edges are mirrored about the edge pixels."""
    kernel = torch.from_numpy(disk(radius, alias_blur)).to(images)
    padded = pad_mirrored(images, len(kernel) // 2)
    return F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None]).view(images.shape)


@lru_cache(maxsize=64)
def disk(radius: float, alias_blur: float) -> np.ndarray:
    """Return a disk of sum 1, odd side, its edge softened by a Gaussian of 3×3 pixels (5×5 over radius 8).

    The disk lies on a grid from -8 to 8, or ±radius if that is more; empty rows and columns are removed. As
    published, disks of radius 8 and 10 reach the edge of the grid, are mirrored there, and sum to 1 % more.
    """
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    full = (x**2 + y**2 <= radius**2).astype(np.float64)
    full /= full.sum()
    soft = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * alias_blur**2))
    soft /= soft.sum()
    for axis in (0, 1):
        mirrored = np.pad(full, [(half, half) if dim == axis else (0, 0) for dim in (0, 1)], mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(mirrored, len(soft), axis=axis)
        full = windows @ soft
    extent = max(abs(np.argwhere(full > 1e-9 * full.max()) - reach).max(), 0)
    return full[reach - extent : reach + extent + 1, reach - extent : reach + extent + 1].copy()


def glass_blur(images: Tensor, generator: Generator, sigma: float, reach: int, rounds: int) -> Tensor:
    """Blur, replace every pixel by a pixel near it, and blur again, like frosted glass.

    From the last row and column backwards, pixel (h, w) becomes the current pixel (h + a, w + b); a and b are
    drawn from -reach … reach - 1. The paper says that pixels are shuffled, and its program swaps two views of
    one array, in which the second assignment has no effect. The published sets were made by that program.

    Pixels whose windows do not overlap are replaced in one step: the pixel in row i and column j from the end
    at step j + 2·reach·i, which keeps the order of pixels whose windows overlap.
    """
    batch, channels, height, width = images.shape
    # Truncated to 8 bits here, as published; a rounding error of float32 must not cost a whole level.
    soft = (blur(images, sigma) * 255 + 1e-3).floor_().div_(255)
    places = torch.arange(height * width, device=images.device).repeat(batch, 1)
    # As published: h from height - reach down to reach + 1, and w likewise.
    rows, columns = height - 2 * reach, width - 2 * reach
    shape = (batch, rows, columns)
    i = torch.arange(rows, device=images.device)
    for _ in range(rounds):
        down, right = torch.randint(
            -reach, reach, (2, *shape), generator=generator, device=images.device
        ).unbind()
        away = (down * width + right).view(batch, -1)
        for step in range(columns + 2 * reach * (rows - 1)):
            j = step - 2 * reach * i
            at = i[(j >= 0) & (j < columns)]
            column = step - 2 * reach * at
            here = (height - reach - at) * width + (width - reach - column)
            places[:, here] = places.gather(1, here + away[:, at * columns + column])
    moved = soft.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view(images.shape)
    return blur(moved, sigma)


def motion_blur(images: Tensor, generator: Generator, radius: float, sigma: float) -> Tensor:
    """`smear` each image along an angle of its own between -45° and 45°."""
    degrees = torch.rand(len(images), generator=generator, device=images.device) * 90 - 45
    return smear(images, degrees, radius, sigma)


def zoom_blur(images: Tensor, generator: Generator, end: float, step: float) -> Tensor:
    """Average the image with itself zoomed in by 1, 1 + step … up to `end`, as when moving ahead."""
    factors = np.arange(1, end, step)  # as published: by rounding, `end` may be included
    total = images.clone()
    for factor in factors.tolist():
        total += zoom_in(images, factor)
    return total.div_(len(factors) + 1)
