"""Maps as colours: a perceptually even scale from dark violet over red to pale yellow, and its overlay."""

import functools

import numpy as np
from PIL import Image

__all__ = ["heat", "overlay", "scale"]

STEPS = 256
LIGHTNESS = (0.16, 0.96)
"""Of OKLab, from the lowest value to the highest; equal steps look equally large."""
HUES = (290.0, 465.0)
"""In degrees: violet, magenta, red, orange, yellow."""
CHROMA = 0.19
# From OKLab to linear sRGB (Ottosson 2020).
TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@functools.cache
def scale() -> np.ndarray:
    """The colours of the values 0..1 in equal steps, uint8 (256, 3) sRGB, dark to light."""
    share = np.linspace(0, 1, STEPS)
    lightness = LIGHTNESS[0] + share * (LIGHTNESS[1] - LIGHTNESS[0])
    hue = np.deg2rad(HUES[0] + share * (HUES[1] - HUES[0]))
    chroma = CHROMA * np.sin(np.pi * (0.12 + 0.76 * share))
    rgb = _linear_rgb(lightness, chroma, hue)
    while (outside := ((rgb < 0) | (rgb > 1)).any(axis=1)).any():
        chroma[outside] *= 0.98  # paler, until a screen can show it
        rgb = _linear_rgb(lightness, chroma, hue)
    curved = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb.clip(1e-9) ** (1 / 2.4) - 0.055)
    return (255 * curved).round().astype(np.uint8)


def _linear_rgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    return (lab @ TO_CONES.T) ** 3 @ TO_RGB.T


def heat(map_: np.ndarray) -> np.ndarray:
    """Colour a map (H, W) of values in 0..1: uint8 (H, W, 3). What is beyond is cut, NaN is 0."""
    values = np.nan_to_num(np.asarray(map_, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return scale()[(values.clip(0, 1) * (STEPS - 1)).round().astype(np.int64)]


def overlay(image: np.ndarray, map_: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lay a map (h, w) of values in 0..1 over an image, uint8 (H, W, 3 or 1): uint8 (H, W, 3).

    The map is brought to the image's size (bilinear). At `opacity` 0 the image is seen alone, at 1 the map.
    """
    height, width = image.shape[:2]
    values = np.nan_to_num(np.asarray(map_, dtype=np.float32))
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    picture = np.broadcast_to(image, (height, width, 3)).astype(np.float32)
    return ((1 - opacity) * picture + opacity * heat(values)).round().astype(np.uint8)
