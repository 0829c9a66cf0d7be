"""Digital corruptions: contrast, elastic transform, pixelation and JPEG compression."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from foveate.data.corruptions.filters import blur

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate"]


def contrast(images: Tensor, generator: Generator, factor: float) -> Tensor:
    """Move each channel towards its mean: mean + factor · (x - mean)."""
    means = images.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(means, images, factor)


def elastic_transform(
    images: Tensor, generator: Generator, amplitude: float, sigma: float, jitter: float
) -> Tensor:
    """Move three points, then every pixel by a smooth random field; lengths are fractions of the side.

    The points are a third of the side away from the middle, and each moves by up to `jitter` in both
    directions; the affine map of the points warps the image, which is mirrored beyond its edges. Then each
    pixel is moved by uniform noise in -1..1, blurred by `sigma` and multiplied by `amplitude`.
    """
    batch, _, height, width = images.shape
    side = min(height, width)
    bent = _warp(images, _affine(batch, height, width, jitter * side, generator, images), mirror_edge=False)
    noise = torch.rand((batch, 2, height, width), generator=generator, device=images.device) * 2 - 1
    if amplitude == 0:
        return bent
    field = blur(noise, sigma * side, mirrored=True, truncate=3.0) * (amplitude * side)
    places = _pixel_places(height, width, images) + field.permute(0, 2, 3, 1)
    return _warp(bent, places, mirror_edge=True)


def _affine(
    batch: int, height: int, width: int, jitter: float, generator: Generator, images: Tensor
) -> Tensor:
    """Return the source (x, y) of each pixel, (B, H, W, 2) in pixels, if three points move by ±jitter."""
    middle = torch.tensor([width // 2, height // 2], device=images.device)
    third = min(height, width) // 3
    corners = torch.tensor([[1, 1], [1, -1], [-1, -1]], device=images.device) * third
    points = (middle + corners).to(images).expand(batch, 3, 2)
    moved = points + (torch.rand(points.shape, generator=generator, device=images.device) * 2 - 1) * jitter
    # The inverse map A solves [moved, 1] · A = points.
    back = torch.linalg.solve(torch.cat([moved, torch.ones_like(moved[..., :1])], dim=2), points)
    flat = _pixel_places(height, width, images).reshape(1, -1, 2)
    return (flat @ back[:, :2] + back[:, 2:]).view(batch, height, width, 2)


def _pixel_places(height: int, width: int, like: Tensor) -> Tensor:
    """Return x and y of each pixel, (H, W, 2)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device), torch.arange(width, device=like.device), indexing="ij"
    )
    return torch.stack([x, y], dim=-1).to(like)


def _warp(images: Tensor, places: Tensor, *, mirror_edge: bool) -> Tensor:
    """Sample each pixel at (x, y) in `places`, bilinear, mirrored at the edge or centre of edge pixels."""
    size = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    # grid_sample's -1..1 spans the outer edges of the outer pixels, or their centres with align_corners.
    grid = (2 * places + 1) / size - 1 if mirror_edge else 2 * places / (size - 1) - 1
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=not mirror_edge)


def pixelate(images: Tensor, generator: Generator, scale: float) -> Tensor:
    """Shrink to `scale` of the side by averaging, and enlarge again by repeating pixels.

    As in Pillow's box filter, each of the four passes is rounded to 8 bits.
    """
    sides = images.shape[-2:]
    for height, width in ([int(side * scale) for side in sides], sides):
        rows, columns = (
            torch.from_numpy(_box_matrix(*lengths)).to(images)
            for lengths in ((images.shape[-2], height), (images.shape[-1], width))
        )
        images = _round(rows @ _round(images @ columns.T))
    return images


@lru_cache(maxsize=64)
def _box_matrix(side: int, length: int) -> np.ndarray:
    """Return the share of each old pixel in each new one, (length, side), by Pillow's box filter.

    A new pixel spans side / length old ones, or one if the image is enlarged; an old pixel has full weight if
    its middle lies within the span (left end excluded), and none otherwise.
    """
    ratio = side / length
    span = max(ratio, 1.0)
    middles = (np.arange(length)[:, None] + 0.5) * ratio
    away = (np.arange(side) + 0.5 - middles) / span
    matrix = ((away > -0.5) & (away <= 0.5)).astype(np.float64)
    return matrix / matrix.sum(axis=1, keepdims=True)


def jpeg_compression(images: Tensor, generator: Generator, quality: int) -> Tensor:
    """Compress as JPEG of this quality and decode, with Pillow, in as many threads as torch uses."""
    pixels = (images * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    if grey := images.shape[1] == 1:
        pixels = pixels[..., 0]

    def through_jpeg(image: np.ndarray) -> np.ndarray:
        file = BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        with Image.open(file) as read:
            return np.asarray(read)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        read = torch.from_numpy(np.stack(list(pool.map(through_jpeg, pixels))))
    read = read[:, None] if grey else read.permute(0, 3, 1, 2)
    return read.to(images.device).to(images.dtype) / 255


def _round(images: Tensor) -> Tensor:
    """Round to the nearest 8-bit value, halves up, as Pillow does."""
    return (images * 255 + 0.5).floor_().div_(255)
