"""The image to show: read from an upload within bounds, or taken from the test part."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, centre
from foveate.data.greys import GreyRange
from foveate.data.images import decode, place, probe
from foveate.data.survey import spread
from foveate.errors import RequestError

__all__ = ["MOST_BYTES", "MOST_PIXELS", "Picture", "example_picture", "read_picture"]

MOST_BYTES = 20 << 20
MOST_PIXELS = 40_000_000
LARGEST_SHOWN = 448
"""Largest side in pixels of the image in the page."""
EXAMPLES = 200
"""Number of test images that examples are taken from."""


@dataclass(frozen=True)
class Picture:
    """One image, as networks take it and as the page shows it.

    Attributes:
        name: its name in the page.
        pixels: uint8 (C, H, W), the square that the networks take.
        shown: uint8 (S, S, 3), the same square, at the image's own resolution where that is higher.
        truth: its class; None where that is unknown.
    """

    name: str
    pixels: Tensor
    shown: np.ndarray
    truth: str | None = None


def read_picture(
    path: Path,
    input_size: tuple[int, int, int],
    name: str | None = None,
    greys: GreyRange | None = None,
) -> Picture:
    """Read the middle square of an image file, for networks that take (C, H, W).

    Its size is read from its header and checked before any pixel is decoded.

    Args:
        greys: the range of greys of more than 8 bits that the networks were trained with; None takes the
            image's own.

    Raises:
        RequestError: it is no image, it is broken, or it is too large.
    """
    name = name or path.name
    if not path.is_file():
        raise RequestError(f"{name} has waited too long and was removed: give it again")
    if path.stat().st_size > MOST_BYTES:
        raise RequestError(f"{name} has more than {MOST_BYTES >> 20} MB: give a smaller file")
    try:
        header = probe(path)
        if header.width * header.height > MOST_PIXELS:
            raise RequestError(
                f"it has {header.width:,}×{header.height:,} pixels; expected at most "
                f"{MOST_PIXELS // 10**6} million: give a smaller image"
            )
        pixels, _ = decode(path, greys or "own")
    except RequestError as error:
        raise RequestError(f"{name} cannot be shown: {error}") from error
    # Cropped before it is resized: a strip of 1×40,000,000 pixels would grow by a factor of hundreds.
    short = min(pixels.shape[:2])
    top, left = ((length - short) // 2 for length in pixels.shape[:2])
    square = pixels[top : top + short, left : left + short]
    channels, size = input_size[0], input_size[-1]
    shown = place(square, 3, min(max(short, size), LARGEST_SHOWN))
    return Picture(
        name, torch.from_numpy(place(square, channels, size).copy()), shown.transpose(1, 2, 0).copy()
    )


def example_picture(data: Data, number: int) -> Picture:
    """Return the `number`-th example from the test part; after the last one they start over."""
    chosen = spread(data.test.labels, EXAMPLES)
    # Consecutive examples are of different classes.
    of_class = data.test.labels[chosen]
    rank = np.array([np.count_nonzero(of_class[:place] == label) for place, label in enumerate(of_class)])
    index = int(chosen[np.lexsort((of_class, rank))][number % len(chosen)])
    images, labels = data.test.__getitems__([index])
    pixels = centre(images[0], data.image_size)
    shown = np.broadcast_to(pixels.permute(1, 2, 0).numpy(), (*pixels.shape[1:], 3))
    truth = data.classes[int(labels[0])]
    return Picture(f"{data.name}, test image {index}", pixels, np.ascontiguousarray(shown), truth)
