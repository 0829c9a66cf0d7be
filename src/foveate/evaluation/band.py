"""A simultaneous band for the mean of a few curves over up to ten points, at 95 %.

The statistic is sup-t (Montiel Olea and Plagborg-Møller, J. Appl. Econom. 34, 2019): the largest |t| over the
points. With three seeds its quantile cannot be taken from an estimated correlation, which has two degrees of
freedom, and Bonferroni's bound is very wide: t = 14.1 for ten points. Two things make it narrower here:

* The variance at a point is the larger one of its own and of the mean of its own and its neighbours'. So a
  variance that is small by chance does not make a large t, and a variance that changes over the points is not
  underestimated.
* The critical value is the largest 95 % quantile of sup-t over a family of Gaussian curves: a part that a
  curve has at all points (a share of 0 to 0.97 of the variance), and an autoregressive part (a correlation of
  0 to 0.95 between neighbouring points). So the correlation is bounded, and not estimated.

`benchmarks/trajectory_band.py` computes the critical values, and the coverage on curves of other kinds.
"""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from foveate.evaluation.intervals import Bounds, mean_interval
from foveate.evaluation.significance import ALPHA

__all__ = ["MOST_POINTS", "critical_value", "simultaneous_band", "smoothed_variances"]

MOST_POINTS = 10

# fmt: off
CRITICAL: dict[int, tuple[float, ...]] = {
    2: (11.59, 13.03, 14.55, 15.90, 17.24, 18.84, 20.16, 21.52, 22.79),
    3: (4.32, 4.52, 4.87, 5.15, 5.42, 5.66, 5.90, 6.14, 6.34),
    4: (3.20, 3.41, 3.60, 3.77, 3.91, 4.07, 4.21, 4.33, 4.46),
    5: (2.85, 3.01, 3.17, 3.31, 3.43, 3.53, 3.65, 3.74, 3.84),
    6: (2.65, 2.80, 2.95, 3.09, 3.19, 3.28, 3.34, 3.43, 3.50),
    7: (2.53, 2.69, 2.81, 2.92, 3.02, 3.11, 3.19, 3.24, 3.31),
    8: (2.46, 2.62, 2.73, 2.84, 2.93, 3.01, 3.08, 3.15, 3.22),
    10: (2.37, 2.53, 2.65, 2.75, 2.83, 2.89, 2.96, 3.00, 3.05),
    12: (2.33, 2.49, 2.60, 2.70, 2.77, 2.83, 2.89, 2.94, 2.98),
    15: (2.28, 2.44, 2.54, 2.63, 2.71, 2.76, 2.82, 2.86, 2.90),
    20: (2.27, 2.42, 2.53, 2.61, 2.67, 2.72, 2.77, 2.81, 2.85),
    30: (2.24, 2.38, 2.49, 2.56, 2.63, 2.68, 2.72, 2.77, 2.80),
}
# fmt: on
"""The critical values by the number of curves, for 2 to 10 points."""


def critical_value(curves: int, points: int) -> float:
    """Return the factor of the standard error that makes a band hold at `points` points at once, at 95 %.

    For one point it is Student's quantile. A number of curves between two of the table has the value of the
    smaller one, which is larger.

    Raises:
        ValueError: fewer than two curves, or no or more than `MOST_POINTS` points.
    """
    if curves < 2 or not 1 <= points <= MOST_POINTS:
        raise ValueError(
            f"a band needs two curves or more and 1 to {MOST_POINTS} points, got {curves} and {points}"
        )
    student = float(stats.t.isf(ALPHA / 2, curves - 1))
    if points == 1:
        return student
    known = sorted(CRITICAL)
    row = CRITICAL[known[bisect_right(known, curves) - 1]]
    return max(student, row[points - 2])


def smoothed_variances(variances: ArrayLike) -> NDArray[np.float64]:
    """Return the larger one of each variance and of the mean of it and its neighbours.

    Args:
        variances: shape (..., points).
    """
    own = np.asarray(variances, dtype=float)
    points = own.shape[-1]
    sums = np.concatenate([np.zeros((*own.shape[:-1], 1)), own.cumsum(axis=-1)], axis=-1)
    first = np.maximum(np.arange(points) - 1, 0)
    beyond = np.minimum(np.arange(points) + 2, points)
    return np.maximum(own, (sums[..., beyond] - sums[..., first]) / (beyond - first))


def simultaneous_band(
    means: Sequence[float], stds: Sequence[float], curves: int, bounds: Bounds | None = None
) -> list[tuple[float, float] | None]:
    """Return the band of the mean curve at each point; None where the curves have no spread around it.

    Args:
        means: of the curves at each point.
        stds: their sample standard deviations; 0 where they are equal.
        curves: how many there are, two or more.
        bounds: of the values.
    """
    # A t interval whose quantile is the critical value; so it has the form and the bounds of all intervals.
    level = 1 - 2 * float(stats.t.sf(critical_value(curves, len(means)), curves - 1))
    spreads = np.sqrt(smoothed_variances(np.square(stds)))
    return [
        mean_interval(mean, float(spread), curves, bounds, level=level, tested_against=0.0)
        for mean, spread in zip(means, spreads, strict=True)
    ]
