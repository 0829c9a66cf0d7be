"""Noise: Gaussian (a dim light), shot (few photons) and impulse (broken bits).

Here and in the modules beside it a corruption takes images (B, C, H, W) in 0..1, the generator on their
device, and its strength as numbers. It returns new images, not limited to 0..1 (`corrupt` clips and rounds).
"""

import torch
from torch import Generator, Tensor

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]


def gaussian_noise(images: Tensor, generator: Generator, sigma: float) -> Tensor:
    """Return x + σn, n ~ N(0, 1) for every pixel and channel."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return noise.mul_(sigma).add_(images)


def shot_noise(images: Tensor, generator: Generator, photons: float) -> Tensor:
    """Draw Poisson(x · photons) / photons, of mean x and variance x / photons."""
    return torch.poisson(images * photons, generator=generator).div_(photons)


def impulse_noise(images: Tensor, generator: Generator, share: float) -> Tensor:
    """Set a `share` of all values, half each, to 0 or to 1, independently in every channel."""
    draw = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.where(draw < share, (draw < share / 2).to(images.dtype), images)
