"""The five strengths of each of the 15 common corruptions, as published for three image sizes.

Hendrycks and Dietterich made CIFAR-10-C (32×32), Tiny-ImageNet-C (64×64) and ImageNet-C (224×224) with a
table each; these are the figures of their programs, in the order of the functions' arguments. Lengths are in
pixels of such images, except in the elastic transform, where they are fractions of the side. They stand here
because a record names a corruption and a severity, and its report says what these are; `foveate.data` makes
the images.
"""

from collections.abc import Sequence

__all__ = ["DEFINITIONS", "SEVERITIES", "published_set"]

CIFAR_SIDE, TINY_SIDE = 48, 96
"""Maximum short side in pixels for which the strengths of CIFAR-10-C and Tiny-ImageNet-C are used."""

DEFINITIONS = 2
"""Version of the corruptions: raise it with every change here or in a function that changes images, so that
earlier measurements are not used for them."""

# fmt: off
SEVERITIES: dict[str, dict[str, Sequence[tuple[float, ...]]]] = {
    "cifar": {
        "gaussian_noise": [(0.04,), (0.06,), (0.08,), (0.09,), (0.10,)],
        "shot_noise": [(500,), (250,), (100,), (75,), (50,)],
        "impulse_noise": [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)],
        "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
        "glass_blur": [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
        "zoom_blur": [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
        "snow": [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
        "frost": [(1, 0.2, 0.2), (1, 0.3, 0.2), (0.9, 0.4, 0.2), (0.85, 0.4, 0.2), (0.75, 0.45, 0.2)],
        "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
        "brightness": [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)],
        "contrast": [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)],
        "elastic_transform": [
            (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03),
        ],
        "pixelate": [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)],
        "jpeg_compression": [(80,), (65,), (58,), (50,), (40,)],
    },
    "tiny": {
        "gaussian_noise": [(0.04,), (0.08,), (0.12,), (0.15,), (0.18,)],
        "shot_noise": [(250,), (100,), (50,), (30,), (15,)],
        "impulse_noise": [(0.01,), (0.02,), (0.05,), (0.08,), (0.14,)],
        "defocus_blur": [(0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)],
        "glass_blur": [(0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)],
        "motion_blur": [(10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)],
        "zoom_blur": [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
        "snow": [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ],
        "frost": [(1, 0.3, 0.3), (0.9, 0.4, 0.3), (0.8, 0.45, 0.3), (0.75, 0.5, 0.3), (0.7, 0.55, 0.3)],
        "fog": [(0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)],
        "brightness": [(0.1,), (0.2,), (0.3,), (0.4,), (0.5,)],
        "contrast": [(0.4,), (0.3,), (0.2,), (0.1,), (0.05,)],
        "elastic_transform": [
            (0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02),
        ],
        "pixelate": [(0.9,), (0.8,), (0.7,), (0.6,), (0.5,)],
        "jpeg_compression": [(65,), (58,), (50,), (40,), (25,)],
    },
    "imagenet": {
        "gaussian_noise": [(0.08,), (0.12,), (0.18,), (0.26,), (0.38,)],
        "shot_noise": [(60,), (25,), (12,), (5,), (3,)],
        "impulse_noise": [(0.03,), (0.06,), (0.09,), (0.17,), (0.27,)],
        "defocus_blur": [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
        "glass_blur": [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
        "motion_blur": [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
        "zoom_blur": [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
        "snow": [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
        "frost": [(1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)],
        "fog": [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
        "brightness": [(0.1,), (0.2,), (0.3,), (0.4,), (0.5,)],
        "contrast": [(0.4,), (0.3,), (0.2,), (0.1,), (0.05,)],
        # Published as 244 pixels times a factor, for images of 224.
        "elastic_transform": [
            tuple(244 / 224 * factor for factor in factors)
            for factors in [
                (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02),
            ]
        ],
        "pixelate": [(0.6,), (0.5,), (0.4,), (0.3,), (0.25,)],
        "jpeg_compression": [(25,), (18,), (15,), (10,), (7,)],
    },
}
"""Set → corruption → the arguments of severities 1 to 5."""
# fmt: on


def published_set(height: int, width: int) -> str:
    """Return the set whose strengths are used for images of this size: "cifar", "tiny" or "imagenet"."""
    side = min(height, width)
    return "cifar" if side <= CIFAR_SIDE else "tiny" if side <= TINY_SIDE else "imagenet"
