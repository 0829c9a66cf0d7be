"""The end of a training, and whether the difference of two candidates still moves there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.significance import is_significant
from foveate.evaluation.statistics import paired_test

__all__ = ["Movement", "Pace", "length_of_end", "measure_pace"]

LAST_SHARE, SOME, FEWEST = 5, 5, 3
WORTH = 0.5
"""A movement counts if as many epochs again, at the pace of the end, change the gain by this share of it."""


class Movement(StrEnum):
    """Whether a gain still moves at the end of the training."""

    RISING = "rising"
    FALLING = "falling"
    NOT_SHOWN = "not shown"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Pace:
    """The slope of the gain over the end of the training.

    Attributes:
        first: the first epoch of that end.
        slope: of the mean gain, per epoch.
        p: of a one-sided t-test of the slopes of the seeds, in the direction of `slope`; None without spread.
        movement: whether the gain moves.
    """

    first: int
    slope: float
    p: float | None
    movement: Movement


def length_of_end(epochs: int) -> int:
    """Return how many epochs the end of a training of `epochs` epochs has.

    It is the last fifth of the epochs, or the last five, but of under ten only the second half; it has three
    epochs at least, where there are so many.
    """
    half = math.ceil(epochs / 2)
    return min(epochs, max(FEWEST, min(SOME, half), math.ceil(epochs / LAST_SHARE)))


def measure_pace(
    gains: NDArray[np.float64], epochs: Sequence[int], gain: float, *, rounding: float = 0.0
) -> Pace:
    """Test the slope of the gain over the end of the training, with one least-squares line for each seed.

    The slopes of the seeds are independent, however the epochs of a seed depend on each other; so the t-test
    holds its level. Each direction is tested by itself, one-sided at `ALPHA`. A movement counts only if it
    matters, too: as many epochs again at this pace would change the gain by half its size at least.

    Args:
        gains: shape (seeds, epochs), of two epochs or more.
        epochs: their numbers.
        gain: of the candidate at the end of the training.
        rounding: gains that differ by less are equal.
    """
    seeds, last = len(gains), length_of_end(len(epochs))
    x = np.array(epochs[-last:], dtype=float) - np.mean(epochs[-last:])
    slopes = (gains[:, -last:] @ x) / (x @ x)
    if np.abs(slopes).max() * (epochs[-1] - epochs[-last]) <= rounding:
        return Pace(epochs[-last], 0.0, None, Movement.NOT_SHOWN if seeds > 1 else Movement.UNTESTED)
    test = paired_test(np.zeros(seeds).tolist(), slopes.tolist())
    slope, p = test.difference or 0.0, None if test.p is None else test.p / 2
    movement = Movement.UNTESTED if p is None else Movement.NOT_SHOWN
    if is_significant(p) and abs(slope) * len(epochs) >= WORTH * abs(gain):
        movement = Movement.RISING if slope > 0 else Movement.FALLING
    return Pace(epochs[-last], slope, p, movement)
