"""The sizes of images from their headers, compared with those that annotations state."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foveate.data.images import UnreadableImageError, probe_orientation
from foveate.errors import RequestError, shortened

__all__ = ["Sizes", "check_stated", "measure", "turn_upright"]

ON_ITS_SIDE = 5
"""The first of the EXIF orientations, 5 to 8, whose width and height change places when they are upright."""


class Sizes(NamedTuple):
    """Width and height of upright images in pixels, int64 (N, 2), and their EXIF orientations, int64 (N,)."""

    upright: np.ndarray
    orientations: np.ndarray


def measure(images: Sequence[Path]) -> Sizes:
    """Read the sizes of images from their headers.

    Raises:
        RequestError: some cannot be read; the first ones are named with the reasons.
    """
    from foveate.data.survey import in_threads  # it imports torch, which finding a format does without

    def read(k: int) -> tuple[int, int, int] | UnreadableImageError:
        try:
            header, orientation = probe_orientation(images[k])
        except UnreadableImageError as error:
            return error.with_traceback(None)
        sides = header.width, header.height
        return (*(sides[::-1] if orientation >= ON_ITS_SIDE else sides), orientation)

    found = in_threads(read, len(images))
    broken = [(k, one) for k, one in enumerate(found) if isinstance(one, UnreadableImageError)]
    if broken:
        named = shortened([f"{images[k]} ({error})" for k, error in broken], 10)
        raise RequestError(
            f"{len(broken):,} of {len(images):,} images cannot be read: {named}. Repair them, or remove them "
            "with their annotations"
        )
    values = np.array(found, dtype=np.int64).reshape(-1, 3)
    return Sizes(values[:, :2], values[:, 2])


def check_stated(source: str, images: Sequence[Path], stated: np.ndarray, sizes: Sizes) -> np.ndarray:
    """Return which images were annotated as they are stored, on their sides, and not upright, bool (N,).

    `stated` are width and height in the annotations, int64 (N, 2), 0 where they are not stated.

    Raises:
        RequestError: the stated size of an image is neither that of the upright nor of the stored image.
    """
    known = (stated > 0).all(1)
    on_side = known & (stated == sizes.upright[:, ::-1]).all(1) & (sizes.orientations >= ON_ITS_SIDE)
    on_side &= (stated != sizes.upright).any(1)
    wrong = np.flatnonzero(known & (stated != sizes.upright).any(1) & ~on_side).tolist()
    if wrong:
        first = wrong[0]
        said, found = (f"{one[0]}×{one[1]}" for one in (stated[first], sizes.upright[first]))
        raise RequestError(
            f"{source} says that {images[first].name} has {said} pixels, and the file has {found}: "
            f"{len(wrong):,} of {len(images):,} images differ ({shortened(images[k].name for k in wrong)}), "
            "and their boxes would be in the wrong places. Use the images that were annotated"
        )
    return on_side


def turn_upright(boxes: np.ndarray, upright: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Return boxes (n, 4) of images stored on their sides in coordinates of the upright images.

    `upright` are width and height of the upright image of each box (n, 2), `orientations` 5 to 8 (n,).
    """
    x0, y0, x1, y1 = boxes.T
    turned = np.stack([y0, x0, y1, x1], 1)  # 5: rows and columns change places
    width, height = upright.T
    right, down = np.isin(orientations, (6, 7)), np.isin(orientations, (7, 8))
    turned[right, 0], turned[right, 2] = (width - y1)[right], (width - y0)[right]
    turned[down, 1], turned[down, 3] = (height - x1)[down], (height - x0)[down]
    return turned
