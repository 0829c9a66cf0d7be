"""Tests that a difference in accuracy lies within a margin, over seeds or over the images of one network.

Equivalence is two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987): the difference is shown
to be above -margin and below +margin, each at the level α. That holds exactly where the interval at 1 - 2α
lies within the margin. p is the larger one of both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from foveate.evaluation.estimates import over_seeds
from foveate.evaluation.significance import ALPHA
from foveate.evaluation.statistics import describe

__all__ = [
    "LEVEL",
    "Equivalence",
    "changed_over_images",
    "difference_over_images",
    "equivalent_over_images",
    "equivalent_within",
]

LEVEL = 1 - 2 * ALPHA
"""The level of intervals, 1 - 2α."""


@dataclass(frozen=True)
class Equivalence:
    """A difference, and the test that it lies within a margin.

    Attributes:
        difference: the mean; None without a value.
        interval: of it, at `LEVEL`.
        p: chance of a mean as far within the margin where the true one lies outside; None without a spread.
    """

    difference: float | None
    interval: tuple[float, float] | None
    p: float | None


def equivalent_within(differences: Sequence[float], margin: float, *, resolution: float = 0.0) -> Equivalence:
    """Test by t that the mean of paired `differences`, one a seed, lies within ± `margin`.

    Args:
        resolution: the smallest step of a difference, such as one image of those that accuracy is over. The
            spread is taken to be at least that of one such step in one of the seeds: without it, no test
            were possible where replacing something changes nothing in any seed, and one would be where it
            changes a single answer.
    """
    described, n = describe(differences), len(differences)
    if described.mean is None or described.std is None:
        return Equivalence(described.mean, None, None)
    estimate = over_seeds(differences, max(described.std, resolution / math.sqrt(n)))
    if estimate is None:
        return Equivalence(described.mean, None, None)
    return Equivalence(described.mean, estimate.interval(level=LEVEL), estimate.p_within(margin))


def equivalent_over_images(lost: int, gained: int, images: int, margin: float) -> Equivalence:
    """Test that one network's accuracy differs by less than `margin` between two ways to run it.

    The images are paired: of `images`, `lost` are right the first way only, `gained` the second way only. The
    test is Tango's score test (Stat. Med. 17, 1998), whose spread does not vanish where no answer changes:
    0 of 100 lost images do not prove that none of a million would be. It covers the chance of the images,
    and not that of another training.
    """
    below, above = (_tango(lost, gained, images, assumed) for assumed in (-margin, margin))
    p = max(stats.norm.sf(below), stats.norm.cdf(above))
    return Equivalence(
        (gained - lost) / images, difference_over_images(lost, gained, images, LEVEL), float(p)
    )


def changed_over_images(lost: int, gained: int) -> float:
    """Return the p value of McNemar's exact test: as many answers become wrong as become right."""
    changed = lost + gained
    return float(stats.binomtest(lost, changed).pvalue) if changed else 1.0


def difference_over_images(lost: int, gained: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the difference in accuracy between two ways to answer the same `images`.

    `lost` are right the first way only, `gained` the second way only. It is Tango's score interval: it has a
    width also where no answer changes.
    """
    difference = (gained - lost) / images
    reach = float(stats.norm.isf((1 - level) / 2))
    low = _root(lambda assumed: _tango(lost, gained, images, assumed) - reach, -1.0, difference)
    high = _root(lambda assumed: _tango(lost, gained, images, assumed) + reach, difference, 1.0)
    return low, high


def _tango(lost: int, gained: int, images: int, assumed: float) -> float:
    """Return (difference - assumed) in standard errors, those of the assumed difference."""
    a = 2 * images
    b = (2 * images - gained + lost) * assumed - (gained + lost)
    c = -lost * assumed * (1 - assumed)
    q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = images * (2 * q + assumed * (1 - assumed))
    distance = gained - lost - images * assumed
    return 0.0 if distance == 0 else distance / math.sqrt(max(variance, np.finfo(float).tiny))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where `function`, which decreases, is 0 between `low` and `high`; an end where it is nowhere."""
    if function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    return float(optimize.brentq(function, low, high))
