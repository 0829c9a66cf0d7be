"""Maps as colours, by matplotlib's "inferno" from black over red to pale yellow, and over an image.

A map that hardly varies is no picture: colours stretched over its noise would look like a finding. It is said
in words (`say_flat`).
"""

import functools

import numpy as np
from PIL import Image

__all__ = ["bar_ends", "heat", "is_flat", "overlay", "say_flat", "scale"]

FLAT = 0.01
"""A map is flat whose values differ by at most this share of the largest of them."""
NOTHING = 1e-6
"""A map is flat, too, whose values differ by no more than this."""


@functools.cache
def scale() -> np.ndarray:
    """Return the colours of the values 0..1 in equal steps, uint8 (256, 3) sRGB, dark to light."""
    from matplotlib import colormaps  # of the extra `explain`

    return colormaps["inferno"](np.arange(256), bytes=True)[:, :3]


def heat(map_: np.ndarray) -> np.ndarray:
    """Colour a map (H, W) of values in 0..1: uint8 (H, W, 3). Values beyond are clipped, NaN counts as 0."""
    values = np.nan_to_num(np.asarray(map_, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return scale()[(values.clip(0, 1) * 255).round().astype(np.int64)]


def is_flat(values: np.ndarray) -> bool:
    """Return whether the values of a map are the same but for noise."""
    known = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if known.size == 0:
        return True
    low, high = float(known.min()), float(known.max())
    return high - low <= max(FLAT * max(abs(low), abs(high)), NOTHING)


def say_flat(values: np.ndarray) -> str:
    """Write a flat map in words: "0.5 everywhere"."""
    known = np.nan_to_num(np.asarray(values, dtype=np.float64))
    mean = round(float(known.mean()), 6) if known.size else 0.0
    return f"{mean + 0.0:.2g} everywhere".replace("-", "−")


def bar_ends(weights: np.ndarray) -> tuple[float, float]:
    """Return the ends of the scale that weights are drawn on as bars: 0 and 1, or beyond where they reach."""
    known = np.nan_to_num(np.asarray(weights, dtype=np.float64))
    return min(0.0, float(known.min())), max(1.0, float(known.max()))


def overlay(image: np.ndarray, map_: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lay a map (h, w) of values in 0..1 over an image, uint8 (H, W, 3 or 1): uint8 (H, W, 3).

    The map is resized to the image (bilinear). At `opacity` 0 only the image is visible, at 1 only the map.
    """
    height, width = image.shape[:2]
    values = np.nan_to_num(np.asarray(map_, dtype=np.float32))
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    picture = np.broadcast_to(image, (height, width, 3)).astype(np.float32)
    return ((1 - opacity) * picture + opacity * heat(values)).round().astype(np.uint8)
