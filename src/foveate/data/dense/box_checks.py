"""Check boxes against their images: boxes that are none are named, and those that stick out are clipped."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from foveate.data.dense.written import WrittenPart
from foveate.errors import RequestError

__all__ = ["CheckedBoxes", "check_boxes", "describe_fault", "refuse_fractions"]

STICKS_OUT = 0.5
"""Pixels beyond the border from which a box is said to stick out. Less is rounding, and is clipped too."""


class Fault(IntEnum):
    """What is wrong with a box."""

    NONE = 0
    NOT_FINITE = 1
    NO_AREA = 2
    OUTSIDE = 3


class CheckedBoxes(NamedTuple):
    """The boxes of a part, clipped to their images.

    Attributes:
        given: x0, y0, x1, y1 in pixels as the files state them, float64 (n, 4).
        boxes: the same within their images, float32 (n, 4).
        faults: a `Fault` for each box, int64 (n,).
        clipped: number of valid boxes that stick out of their images.
    """

    given: np.ndarray
    boxes: np.ndarray
    faults: np.ndarray
    clipped: int


def check_boxes(boxes: np.ndarray, limits: np.ndarray) -> CheckedBoxes:
    """Clip boxes, float64 (n, 4), to the width and height (n, 2) of their images, and find the invalid ones.

    A box is invalid if a coordinate is NaN or infinite, if it has no width or no height (as float32), or if
    nothing of it is inside of the image.
    """
    finite = np.isfinite(boxes).all(1)
    known = np.where(finite[:, None], boxes, 0.0)
    borders = np.tile(limits, 2).astype(np.float64)
    inside = np.clip(known, 0, borders).astype(np.float32)
    has_area = (known[:, 2:] > known[:, :2]).all(1)
    is_seen = (inside[:, 2:] > inside[:, :2]).all(1)
    is_out = (known[:, 2:] <= 0).any(1) | (known[:, :2] >= limits).any(1)
    faults = np.full(len(boxes), Fault.NONE, dtype=np.int64)
    faults[~is_seen] = Fault.NO_AREA
    faults[has_area & is_out] = Fault.OUTSIDE
    faults[~finite] = Fault.NOT_FINITE
    beyond = ((known < -STICKS_OUT) | (known > borders + STICKS_OUT)).any(1)
    return CheckedBoxes(boxes, inside, faults, int((beyond & (faults == Fault.NONE)).sum()))


def describe_fault(part: WrittenPart, checked: CheckedBoxes, limits: np.ndarray, k: int) -> str:
    """Return the place of an invalid box in the files, and what is wrong with it."""
    box = checked.given[k]
    shown = ", ".join(f"{value:g}" for value in box)
    if checked.faults[k] == Fault.NOT_FINITE:
        reason = "has a coordinate that is not a finite number"
    elif checked.faults[k] == Fault.NO_AREA:
        reason = f"has no area: {box[2] - box[0]:g}×{box[3] - box[1]:g} pixels"
    else:
        reason = f"lies outside of its image of {limits[k, 0]}×{limits[k, 1]} pixels"
    return f"{part.where(k)}: the box {shown} {reason}"


def refuse_fractions(source: str, boxes: np.ndarray, format_name: str) -> None:
    """Raise RequestError if all of the boxes (n, 4), of a format with pixels, are fractions of the image."""
    finite = boxes[np.isfinite(boxes).all(1)]
    if len(finite) and (finite >= 0).all() and (finite <= 1).all():
        raise RequestError(
            f"all coordinates in {source} lie in 0..1: they are normalised, and {format_name} has pixels. "
            "Multiply them by width and height of their images"
        )
