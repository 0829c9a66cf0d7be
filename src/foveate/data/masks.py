"""Masks: which of their values are the object; with more than two values the user has to say."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foveate.data.images import UnreadableImageError, read_values
from foveate.data.survey import in_threads
from foveate.errors import RequestError, shortened

__all__ = ["ObjectValues", "describe_masks", "inside_mask", "parse_object_values", "refuse_unclear_masks"]

ObjectValues = tuple[tuple[int, int], ...]
"""Ranges of the values of the object, both ends included; () if the masks show which they are."""

HALF = 128
MOST_LABELS = 8
"""A lossy file with more values than this has no labels, but black and white and artefacts between them."""
CLEAR_SHARE = 0.75
"""Share of the pixels of such a file that must be close to black or white."""


class MaskValues(NamedTuple):
    """How often each value occurs in a mask, and the share of its border that is not background (0)."""

    counts: Counter[int]
    border: float


def parse_object_values(text: str) -> ObjectValues:
    """Read "1", "1,2" or "128-255" as ranges of values.

    Raises RequestError for anything else.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise RequestError(
                f"--mask-object {text}: expected the values of the object, such as 1, or 1,2, or 128-255"
            )
        ranges.append((low, high))
    return tuple(ranges)


def inside_mask(path: Path, values: ObjectValues) -> np.ndarray:
    """Return the object in the mask at `path`, bool (H, W): the pixels in `values`, or all but 0.

    Raises UnreadableImageError.
    """
    pixels, lossy = read_values(path)
    if values:
        return np.logical_or.reduce([(pixels >= low) & (pixels <= high) for low, high in values])
    return pixels >= HALF if lossy and _is_grey(pixels) else pixels != 0


def describe_masks(paths: Sequence[Path], values: ObjectValues) -> str:
    """Return a sentence on the values of the object and their share of the pixels; "" without masks."""
    found = _read(paths)
    if not found:
        return ""
    counts = sum((one.counts for one in found), Counter[int]())
    inside = Counter(
        {
            value: count
            for value, count in counts.items()
            if (any(low <= value <= high for low, high in values) if values else value != 0)
        }
    )
    named = shortened([f"{value}" for value in sorted(inside)], MOST_LABELS)
    share = 100 * inside.total() / counts.total()
    return (
        f"In the masks {named} is the object, {share:.0f} % of their pixels (change this with --mask-object)."
    )


def refuse_unclear_masks(paths: Sequence[Path]) -> None:
    """Raise RequestError unless the values of all masks show which of them is the object.

    They do if there are only 0 and one other value, which must not cover most of the border, as a background
    does. Masks that cannot be read are skipped.
    """
    found = _read(paths)
    counts = sum((one.counts for one in found), Counter[int]())
    if len(counts) > 2 or (len(counts) == 2 and 0 not in counts):
        total = counts.total()
        listed = [f"{value} ({100 * count / total:.1f} %)" for value, count in sorted(counts.items())]
        raise RequestError(
            f"the masks have the values {shortened(listed, 2 * MOST_LABELS)} of the pixels, and it is "
            "unclear which is the object: name it, as in --mask-object 1, or 1,2, or 128-255"
        )
    both = [one for one in found if len(one.counts) == 2]
    backgrounds = [one for one in both if one.border > 0.5]
    if 2 * len(backgrounds) > len(both):
        value = max(counts)
        raise RequestError(
            f"in {len(backgrounds):,} of {len(both):,} masks the value {value} covers most of the border, as "
            f"a background does: name the object, with --mask-object 0 or --mask-object {value}"
        )


def _read(paths: Sequence[Path]) -> list[MaskValues]:
    found = in_threads(lambda number: _values_of(paths[number]), len(paths))
    return [one for one in found if one is not None]


def _values_of(path: Path) -> MaskValues | None:
    try:
        pixels, lossy = read_values(path)
    except UnreadableImageError:
        return None
    if lossy and _is_grey(pixels) and _is_black_and_white(pixels):
        pixels = np.where(pixels >= HALF, 255, 0)
    values, counts = np.unique(pixels, return_counts=True)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return MaskValues(
        Counter(dict(zip(values.tolist(), counts.tolist(), strict=True))), float((border != 0).mean())
    )


def _is_grey(pixels: np.ndarray) -> bool:
    return len(np.unique(pixels)) > MOST_LABELS


def _is_black_and_white(pixels: np.ndarray) -> bool:
    near = (pixels < HALF // 2) | (pixels >= HALF + HALF // 2)
    return bool(pixels.max() >= HALF) and float(near.mean()) >= CLEAR_SHARE
