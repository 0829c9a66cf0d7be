"""The 15 common corruptions of Hendrycks and Dietterich (ICLR 2019, arXiv:1903.12261), for whole batches.

A new corruption is a function, a line in `CORRUPTIONS`, and a line in each table of
`foveate.records.severities`. Docstrings say where the published programs are ambiguous or differ from the
paper.

Known differences to the published sets: values are rounded to 8 bits here and truncated there, frost is drawn
(see `frost`), and the random numbers are different.
"""

from collections.abc import Callable

from torch import Generator, Tensor

from foveate.data.corruption_names import check_corruption, noise_sigma
from foveate.data.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from foveate.data.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from foveate.data.corruptions.frost import frost
from foveate.data.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from foveate.data.corruptions.weather import brightness, fog, snow
from foveate.errors import RequestError
from foveate.records.severities import DEFINITIONS, SEVERITIES, published_set

__all__ = [
    "CORRUPTIONS",
    "DEFINITIONS",
    "LEAST_SIDE",
    "corrupt",
]

CORRUPTIONS: dict[str, Callable[..., Tensor]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}
"""The corruptions by name, in the order of the paper's tables."""

LEAST_SIDE = 8
"""Pixels; the published strengths destroy smaller images, and some corruptions need a middle part."""


def corrupt(images: Tensor, name: str, severity: int | None, generator: Generator) -> Tensor:
    """Corrupt images (B, C, H, W) in 0..1, of 1 or 3 channels, and round the result to 8 bits.

    Every image has random numbers of its own, which depend only on the state of `generator`, on the images'
    device. The strengths are CIFAR-10-C's up to a short side of 48 pixels, Tiny-ImageNet-C's up to 96,
    ImageNet-C's above.

    Args:
        images: float32, whole 8-bit values divided by 255.
        name: of `CORRUPTIONS`, or noise_σ: Gaussian noise of σ / 255.
        severity: 1 to 5; None for noise_σ.
        generator: of random numbers.

    Raises:
        RequestError: an unknown name or severity, images of another kind, or images under 8 pixels.
    """
    check_corruption(name, severity)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise RequestError(
            "corruptions take floating-point images (B, C, H, W) of 1 or 3 channels, "
            f"got {tuple(images.shape)} of {images.dtype}"
        )
    height, width = images.shape[2:]
    if min(height, width) < LEAST_SIDE:
        raise RequestError(
            f"corruptions need images of at least {LEAST_SIDE} pixels a side, got {height}×{width}"
        )
    sigma = noise_sigma(name)
    if sigma is not None:
        corrupted = gaussian_noise(images, generator, sigma / 255)
    else:
        assert severity is not None
        strength = SEVERITIES[published_set(height, width)][name][severity - 1]
        corrupted = CORRUPTIONS[name](images, generator, *strength)
    return corrupted.clamp_(0, 1).mul_(255).round_().div_(255)
