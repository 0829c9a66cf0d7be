"""Filters that several corruptions share: Gaussian blur, zoom into the middle, blur along a line."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur", "pad_mirrored", "smear", "zoom_in"]

NEGLIGIBLE = 2.0**-24
"""A weight that float32 cannot add to 1."""


def blur(images: Tensor, sigma: float, *, mirrored: bool = False, truncate: float = 4.0) -> Tensor:
    """Blur (..., H, W) with a Gaussian that is truncated at `truncate` standard deviations.

    Beyond the edge the nearest pixel is repeated, or with `mirrored` the image is mirrored, edge pixel first
    (`mode="reflect"` of scipy). Each direction is one product with a matrix, so a blur as wide as the image,
    as in the elastic transform, costs no more than a narrow one.
    """
    if int(truncate * sigma + 0.5) == 0:
        return images
    rows, columns = (
        torch.from_numpy(_blur_matrix(side, sigma, mirrored, truncate)).to(images)
        for side in images.shape[-2:]
    )
    return rows @ images @ columns.T


@lru_cache(maxsize=64)
def _blur_matrix(side: int, sigma: float, mirrored: bool, truncate: float) -> np.ndarray:
    """Return (side, side): row i holds the weights of all pixels in pixel i, folded back at the edges."""
    reach = int(truncate * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    sources = np.arange(side)[:, None] + offsets
    if mirrored:
        sources = sources % (2 * side)
        sources = np.minimum(sources, 2 * side - 1 - sources)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], sources.clip(0, side - 1)), weights / weights.sum())
    return matrix


def pad_mirrored(images: Tensor, margin: int) -> Tensor:
    """Pad (..., H, W) by `margin` pixels on each side, mirrored about the centres of the edge pixels."""
    for dim in (-2, -1):
        side = images.shape[dim]
        period = max(2 * (side - 1), 1)
        places = torch.arange(-margin, side + margin, device=images.device) % period
        images = images.index_select(dim, torch.minimum(places, period - places).clamp(max=side - 1))
    return images


def zoom_in(images: Tensor, factor: float) -> Tensor:
    """Enlarge the middle of (B, C, H, W) to the size of the whole, bilinear.

    The middle ⌈side / factor⌉ pixels are enlarged to round(⌈side / factor⌉ · factor), aligned at the corners,
    and trimmed to the side, as with `scipy.ndimage.zoom` in the published programs.
    """
    if factor == 1:
        return images
    sides = images.shape[2:]
    taken = [math.ceil(side / factor) for side in sides]
    top, left = ((side - part) // 2 for side, part in zip(sides, taken, strict=True))
    middle = images[:, :, top : top + taken[0], left : left + taken[1]]
    size = [max(side, round(part * factor)) for side, part in zip(sides, taken, strict=True)]
    large = F.interpolate(middle, size=size, mode="bilinear", align_corners=True)
    top, left = ((length - side) // 2 for length, side in zip(size, sides, strict=True))
    return large[:, :, top : top + sides[0], left : left + sides[1]]


def smear(images: Tensor, degrees: Tensor, radius: float, sigma: float) -> Tensor:
    """Blur each image (B, C, H, W) to one side along its own angle (B,).

    y(p) = Σ_i w_i · x(p + offset_i), w_i ∝ exp(-i² / 2σ²), i = 0 … 2⌈radius⌉, offset_i = (i cos θ, i sin θ)
    in whole pixels; beyond the edge the nearest pixel is repeated. This is ImageMagick's motion blur, which
    made the published sets: one half of a Gaussian.
    """
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * math.ceil(radius) + 1)]
    weights = [weight for weight in weights if weight >= NEGLIGIBLE]
    count, total = len(weights), sum(weights)
    steps = torch.arange(count, device=images.device)
    angle = torch.deg2rad(degrees)[:, None]
    right = (steps * angle.cos() - 0.5).ceil().long()
    down = (steps * angle.sin() - 0.5).ceil().long()
    reach = count - 1
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate") if reach else images
    windows = padded.unfold(2, images.shape[2], 1).unfold(3, images.shape[3], 1)  # a view: place, place, H, W
    each = torch.arange(len(images), device=images.device)
    smeared = torch.zeros_like(images)
    for i, weight in enumerate(weights):
        smeared.add_(windows[each, :, reach + down[:, i], reach + right[:, i]], alpha=weight / total)
    return smeared
