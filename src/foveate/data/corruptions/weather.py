"""Weather: snow, fog and brightness; frost has a module of its own."""

import torch
from torch import Generator, Tensor

from foveate.data.corruptions.filters import smear, zoom_in
from foveate.data.luminance import luminance

__all__ = ["brightness", "fog", "plasma", "snow"]


def snow(
    images: Tensor,
    generator: Generator,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    kept: float,
) -> Tensor:
    """Whiten the image and add flakes: bright spots of noise, zoomed and blurred downwards.

    flakes = smear(zoom_in(N(mean, spread²), zoom) where ≥ threshold);
    y = kept·x + (1 - kept)·max(x, 1.5·grey + 0.5) + flakes + flakes rotated by 180°.
    """
    batch, _, height, width = images.shape
    noise = torch.randn((batch, 1, height, width), generator=generator, device=images.device)
    flakes = zoom_in(noise.mul_(spread).add_(mean), zoom)
    flakes = torch.where(flakes < threshold, 0, flakes.clamp(0, 1))
    degrees = torch.rand(batch, generator=generator, device=images.device) * 90 - 135
    # Truncated to 8 bits, as in the published program.
    flakes = smear((flakes * 255).floor_().div_(255), degrees, radius, sigma)
    white = torch.maximum(images, luminance(images) * 1.5 + 0.5)
    return torch.lerp(white, images, kept) + flakes + flakes.flip(2, 3)


def fog(images: Tensor, generator: Generator, thickness: float, decay: float) -> Tensor:
    """Return (x + thickness · plasma) · m / (m + thickness), m the largest value of the image."""
    batch, _, height, width = images.shape
    cloud = plasma(batch, max(height, width), decay, generator, images.device)[:, None, :height, :width]
    largest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + thickness * cloud) * (largest / (largest + thickness))


def plasma(count: int, side: int, decay: float, generator: Generator, device: torch.device) -> Tensor:
    """Draw clouds (count, s, s) in 0..1 by the diamond-square algorithm, s the next power of 2 from `side`.

    The middle of a square is the mean of its corners, and the middle of an edge the mean of its four
    neighbours (the image wraps around), plus uniform noise whose range is divided by decay² per level: the
    published program multiplies its draw from ±w by w again, and divides w by `decay`.
    """
    size = max(2, 1 << (side - 1).bit_length())
    cloud = torch.zeros(count, size, size, device=device)
    step, swing = size, 1.0

    def near(sums: Tensor) -> Tensor:
        noise = torch.rand(sums.shape, generator=generator, device=device)
        return sums / 4 + swing * (2 * noise - 1)

    while step >= 2:
        half = step // 2
        corners = cloud[:, ::step, ::step]
        across = corners + corners.roll(-1, dims=1)
        middles = cloud[:, half::step, half::step] = near(across + across.roll(-1, dims=2))
        beside = middles + middles.roll(1, dims=1) + corners + corners.roll(-1, dims=2)
        cloud[:, ::step, half::step] = near(beside)
        beside = middles + middles.roll(1, dims=2) + corners + corners.roll(-1, dims=1)
        cloud[:, half::step, ::step] = near(beside)
        step, swing = half, swing / decay**2
    cloud -= cloud.amin(dim=(1, 2), keepdim=True)
    return cloud / cloud.amax(dim=(1, 2), keepdim=True)


def brightness(images: Tensor, generator: Generator, added: float) -> Tensor:
    """Raise the value of HSV, V = max(R, G, B), by `added`, at most to 1, and keep hue and saturation.

    A colour of fixed hue and saturation is proportional to its value: y = x · min(V + added, 1) / V. A black
    pixel becomes grey.
    """
    value = images.amax(dim=1, keepdim=True)
    raised = (value + added).clamp(max=1)
    return torch.where(value > 0, images * (raised / value.clamp(min=1e-6)), raised)
