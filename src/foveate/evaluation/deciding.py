"""Deciding while seeds are added: the boundary of a study's comparisons, and the probable number of seeds.

A comparison is open until the first look at which its p value is under a level of the boundary: it is then
better or worse (two-sided test of no difference), or equivalent (both one-sided tests of a difference as
large as the margin). Of m comparisons each errs in at most alpha / m of the studies, so that all of them
together err in at most alpha (Bonferroni):

* where there is no difference, only "better" or "worse" is wrong: two sides with alpha / 2m each;
* where the difference is as large as the margin, or larger, only "equivalent" and the wrong direction are
  wrong. "Equivalent" has one side with alpha / m. The wrong direction adds nothing to it that could be
  measured: "equivalent" needs a standard error of less than the margin over the critical t, and the wrong
  direction then lies two critical t away;
* in between, only the wrong direction is wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from foveate.evaluation.sequential import PATHS, SIMULATION_SEED, Spending, nominal_levels

__all__ = ["OPEN", "Boundary", "Decisions", "Expected", "decide_all", "expect_seeds", "make_boundary"]

OPEN, BETTER, WORSE, EQUIVALENT = range(4)
"""Codes of `Decisions.outcomes`."""
STUDIES = 20_000
"""Simulated to tell the probable number of seeds: shares within 0.7 points (two standard errors)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Boundary:
    """The nominal p values under which a comparison is decided, look by look.

    Attributes:
        looks: pairs of runs at each look.
        different: levels of the two-sided p value of no difference.
        equivalent: levels of the larger one of the two one-sided p values of equivalence.
    """

    looks: tuple[int, ...]
    different: tuple[float, ...]
    equivalent: tuple[float, ...]


def make_boundary(
    first: int,
    largest: int,
    alpha: float,
    comparisons: int,
    spending: Spending,
    *,
    paths: int = PATHS,
    seed: int = SIMULATION_SEED,
) -> Boundary:
    """Return the boundary of looks after `first`, `first` + 1, … and `largest` pairs of runs.

    Args:
        first: pairs at the first look, at least 2.
        largest: pairs at the last one.
        alpha: the chance of even one wrong decision.
        comparisons: among which it is divided equally.
        spending: how it is spent over the looks.
        paths: simulated studies, see `nominal_levels`.
        seed: of the simulation.
    """
    looks, own = tuple(range(first, largest + 1)), alpha / comparisons
    side, whole = nominal_levels(looks, largest, (own / 2, own), spending, paths=paths, seed=seed)
    return Boundary(looks, tuple(2 * level for level in side), whole)


@dataclass(frozen=True)
class Decisions:
    """What simulated comparisons came to: `outcomes` (OPEN, BETTER, …) and the `pairs` at which they did.

    A comparison that stays open has the pairs of the last look. Both have the shape (studies,).
    """

    outcomes: NDArray[np.int8]
    pairs: NDArray[np.int64]


def decide_all(
    differences: Floats,
    boundary: Boundary,
    margin: float,
    image_variance: Floats | float = 0.0,
    images: float = math.inf,
) -> Decisions:
    """Decide many comparisons look by look, as `foveate.evaluation.estimates` tests them.

    Without an image variance this is the paired t-test. Without a spread there is no decision.

    Args:
        differences: of pairs of runs, (studies, pairs), in the direction in which more is better.
        boundary: its looks are at most the number of pairs.
        margin: in the unit of the differences.
        image_variance: the estimated part of the squared standard error that more seeds do not reduce,
            (studies,); 0 for new seeds on the same images.
        images: from so many images.
    """
    outcomes = np.zeros(len(differences), dtype=np.int8)
    pairs = np.full(len(differences), boundary.looks[-1])
    of_images = np.broadcast_to(np.asarray(image_variance, dtype=float), len(differences))
    for n, different, equivalent in zip(boundary.looks, boundary.different, boundary.equivalent, strict=True):
        left = np.flatnonzero(outcomes == OPEN)
        seen = differences[left, :n]
        spread = seen.std(axis=1, ddof=1)
        left, seen, of_seeds = (rows[spread > 0] for rows in (left, seen, spread**2 / n))
        size = np.abs(seen.mean(axis=1))
        apart = size > _reach(different / 2, of_seeds, n - 1, of_images[left], images)
        near = margin - size > _reach(equivalent, of_seeds, n - 1, of_images[left], images)
        outcomes[left[near]] = EQUIVALENT
        outcomes[left[apart]] = np.where(seen.mean(axis=1)[apart] > 0, BETTER, WORSE)
        pairs[left[apart | near]] = n
    return Decisions(outcomes, pairs)


def _reach(level: float, of_seeds: Floats, df: int, of_images: Floats, images: float) -> Floats:
    """Return how far a mean must lie from a hypothesis to reject it at a one-sided `level`."""
    t = stats.t.isf(level, df)
    z = stats.norm.isf(level) if math.isinf(images) else stats.t.isf(level, images - 1)
    return np.sqrt(t**2 * of_seeds + z**2 * of_images)


@dataclass(frozen=True)
class Expected:
    """The probable number of seeds until a comparison is decided.

    Attributes:
        difference: the true one that was assumed.
        median: of the seeds.
        low: nine studies in ten take at least so many.
        high: nine in ten take at most so many.
        decided: share of the studies that are decided by the last look.
    """

    difference: float
    median: int
    low: int
    high: int
    decided: float


def expect_seeds(
    spread: float,
    margin: float,
    boundary: Boundary,
    differences: Sequence[float],
    *,
    image_variance: float = 0.0,
    studies: int = STUDIES,
    seed: int = SIMULATION_SEED,
) -> tuple[Expected, ...]:
    """Simulate how many seeds a comparison takes, for each of the true `differences`.

    Args:
        spread: standard deviation of the differences between pairs of runs.
        margin: of equivalence, in the same unit.
        boundary: of the looks.
        differences: true ones that are assumed, in the same unit.
        image_variance: the part of the squared standard error that more seeds do not reduce.
        studies: number of simulated studies for each of them.
        seed: of the simulation.
    """
    random = np.random.default_rng(seed)
    drawn = spread * random.standard_normal((studies, boundary.looks[-1]))
    drawn += math.sqrt(image_variance) * random.standard_normal((studies, 1))
    return tuple(
        _expected(true, decide_all(drawn + true, boundary, margin, image_variance)) for true in differences
    )


def _expected(difference: float, found: Decisions) -> Expected:
    low, median, high = (
        int(np.quantile(found.pairs, share, method="inverted_cdf")) for share in (0.1, 0.5, 0.9)
    )
    return Expected(difference, median, low, high, float((found.outcomes != OPEN).mean()))
