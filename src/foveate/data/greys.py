"""Greys of more than 8 bits: their values in images, one range for a set, and its scaling to 8 bits."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = [
    "FEWEST_LEVELS",
    "SIXTEEN_BITS",
    "GreyRange",
    "GreyValues",
    "find_range",
    "levels_left",
    "scale_to_8_bits",
    "values_of",
]

FEWEST_LEVELS = 64
"""Of 256 grey levels: a set with fewer lost most of the detail of its files, or they have none."""
BULK = (0.001, 0.999)
"""Quantiles of an image's pixels; values beyond them count as outliers."""


class GreyRange(NamedTuple):
    """The values that become 0 and 255, both whole numbers."""

    low: int
    high: int


class GreyValues(NamedTuple):
    """The smallest and the largest value of an image, with and without the outliers at either end."""

    low: int
    high: int
    bulk_low: int
    bulk_high: int


SIXTEEN_BITS = GreyRange(0, 65535)
"""The range of images that use all of their 16 bits."""


def values_of(pixels: np.ndarray) -> GreyValues:
    """Measure the values of whole-number pixels of any shape."""
    bulk = np.quantile(pixels, BULK, method="nearest")
    return GreyValues(int(pixels.min()), int(pixels.max()), int(bulk[0]), int(bulk[1]))


def find_range(values: Iterable[GreyValues]) -> GreyRange | None:
    """Find the range of the values of all images, rounded up to whole bits; None without an image.

    The high end has 8, 10, 12, 14 or 16 bits, as cameras and scanners count, or as many above 16 as it needs.
    The low end is 0, or minus a power of two if there are values below 0.
    """
    values = list(values)
    if not values:
        return None
    low = min(one.low for one in values)
    bits = max(max(one.high for one in values), 0).bit_length()
    rounded = max(bits + bits % 2, 8) if bits <= 16 else bits
    return GreyRange(-(1 << (-low - 1).bit_length()) if low < 0 else 0, (1 << rounded) - 1)


def levels_left(values: Iterable[GreyValues], greys: GreyRange) -> int:
    """Return how many of 256 grey levels the pixels without outliers have at most, if scaled by `greys`."""
    values = list(values)
    span = max(one.bulk_high for one in values) - min(one.bulk_low for one in values)
    return min(span, span * 255 // (greys.high - greys.low)) + 1


def scale_to_8_bits(pixels: np.ndarray, greys: GreyRange) -> np.ndarray:
    """Scale whole numbers from `greys` to 0..255, uint8 of the same shape; values beyond are clipped."""
    span = greys.high - greys.low
    above = np.clip(pixels.astype(np.int64), greys.low, greys.high) - greys.low
    return ((above * 255 + span // 2) // span).astype(np.uint8)
