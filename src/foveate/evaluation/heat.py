"""Maps as colours, by matplotlib's "inferno" from black over red to pale yellow, and over an image."""

import functools

import numpy as np
from PIL import Image

__all__ = ["heat", "overlay", "scale"]


@functools.cache
def scale() -> np.ndarray:
    """Return the colours of the values 0..1 in equal steps, uint8 (256, 3) sRGB, dark to light."""
    from matplotlib import colormaps  # of the extra `explain`

    return colormaps["inferno"](np.arange(256), bytes=True)[:, :3]


def heat(map_: np.ndarray) -> np.ndarray:
    """Colour a map (H, W) of values in 0..1: uint8 (H, W, 3). Values beyond are clipped, NaN counts as 0."""
    values = np.nan_to_num(np.asarray(map_, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return scale()[(values.clip(0, 1) * 255).round().astype(np.int64)]


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
