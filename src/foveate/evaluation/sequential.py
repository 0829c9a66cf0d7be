"""Tests that are repeated while seeds are added: how alpha is spent over the looks.

A look is a test of the differences of the first n pairs of runs. Whoever looks after each seed and stops at
the first p value under 5 % finds a difference where there is none far more often than in 5 % of the studies.
Here a spending function says which part of alpha may be spent until a share t = n / largest of the planned
pairs is there (Lan and DeMets, Biometrika 70, 1983), and each look has the nominal p value that keeps to it.

All levels here are of one-sided tests. A two-sided test at alpha is one test at alpha / 2 on each side, as is
usual for symmetric boundaries. The boundary is a list of p values, not of t statistics, so that it serves
each test of `foveate.evaluation.estimates`, which all keep each level by themselves: the paired t-test over
seeds, for which it is computed, and the test over seeds and images. A part of the latter is the same at each
look, so that its looks depend on each other more strongly, which is to the safe side.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from foveate.records.sequential import Spending

__all__ = [
    "PATHS",
    "SIMULATION_SEED",
    "SPENDING",
    "Spending",
    "nominal_levels",
    "p_over_looks",
    "spent",
]

SPENDING: Final[tuple[Spending, ...]] = get_args(Spending)

PATHS = 1_000_000
"""Simulated studies without a difference; a one-sided level also counts each with its signs turned."""
SIMULATION_SEED = 1983
FEWEST_CROSSING = 100
"""A level rests on the simulation if so many studies may have crossed so far."""
CAUTION = 2.0
"""Standard errors by which the simulated share of paths stays under what may be spent."""
P_TABLE = np.logspace(0, -9, 3000)

Floats = NDArray[np.float64]


def spent(spending: Spending, share: float, alpha: float) -> float:
    """Return the part of a one-sided `alpha` that may be spent until `share` of the planned pairs is there.

    Lan and DeMets (1983): 2 - 2Φ(z_{alpha/2} / √t), which spends nearly nothing on the first looks, as the
    boundary of O'Brien and Fleming does, and alpha · ln(1 + (e - 1)t), which spends evenly, as Pocock's does.
    Both are 0 at t = 0 and alpha at t = 1.

    Raises:
        ValueError: `share` or `alpha` is not within (0, 1], or (0, 1).
    """
    if not 0 < share <= 1 or not 0 < alpha < 1:
        raise ValueError(
            f"expected a share within (0, 1] and an alpha within (0, 1), got {share} and {alpha}"
        )
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * share)
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(share)))


def nominal_levels(
    looks: Sequence[int],
    largest: int,
    alphas: Sequence[float],
    spending: Spending,
    *,
    paths: int = PATHS,
    seed: int = SIMULATION_SEED,
) -> list[tuple[float, ...]]:
    """Return for each of `alphas` the one-sided p value under which a test may reject at each look.

    Where there is no difference, a test that rejects at the first look whose one-sided p value is under its
    level has rejected up to look k with a chance of at most what is `spent` there, and of at most alpha in
    all. Levels are quantiles of `paths` simulated studies, each also with its signs turned, among the studies
    that crossed no earlier level; their shares stay two standard errors of the simulation under what may be
    spent. Where too few cross, at the first looks, the level is what is added to the spent part (the union
    bound).

    Args:
        looks: at least 2 pairs each, increasing, at most `largest`.
        largest: the pairs at which alpha is spent.
        alphas: of one side.
        spending: how they are spent.
        paths: number of simulated studies.
        seed: of the simulation.

    Raises:
        ValueError: `looks` cannot be those of a study.
    """
    _check_looks(looks, largest)
    crossed = {alpha: np.zeros(2 * paths, dtype=bool) for alpha in alphas}
    levels: dict[float, list[float]] = {alpha: [] for alpha in alphas}
    for place, at_look in enumerate(_paths(looks, paths, seed)):
        df, both = looks[place] - 1, np.concatenate([at_look, -at_look])
        for alpha in alphas:
            may = spent(spending, looks[place] / largest, alpha)
            level = may - (spent(spending, looks[place - 1] / largest, alpha) if place else 0.0)
            target = len(both) * may
            crossing = int(target - CAUTION * math.sqrt(target)) - int(crossed[alpha].sum())
            if target >= FEWEST_CROSSING and crossing > 0:
                left = both[~crossed[alpha]]
                last = len(left) - crossing - 1
                level = max(level, float(stats.t.sf(np.partition(left, last)[last], df)))
            crossed[alpha] |= both > stats.t.isf(level, df)
            levels[alpha].append(level)
    return [tuple(levels[alpha]) for alpha in alphas]


def p_over_looks(
    p: float, looks: Sequence[int], *, tails: int = 2, paths: int = PATHS, seed: int = SIMULATION_SEED
) -> float:
    """Return the chance that the smallest p value over `looks` is at most `p` where there is no difference.

    This is the p value of a person who looked at the paired t-tests of the first n pairs, for each n of
    `looks`, and takes the best of them. It is simulated, two standard errors of the simulation to the safe
    side, where enough of `paths` studies have so small a p value; under that it is at most the number of
    looks times p. It never decreases in p.

    Args:
        p: of a two-sided test, or of a one-sided one.
        looks: pairs of runs at each look, at least 2 each, increasing.
        tails: 2 or 1, of that test.
        paths: number of simulated studies.
        seed: of the simulation.
    """
    _check_looks(looks, looks[-1] if looks else 0)
    if len(looks) == 1:
        return p
    if tails == 1 and p >= 0.5:
        return 1.0
    smallest = _smallest_p(tuple(looks), tails, paths, seed)
    count = max(int(np.searchsorted(smallest, p, side="right")), FEWEST_CROSSING)
    return min(1.0, len(looks) * p, (count + CAUTION * math.sqrt(count)) / paths)


@lru_cache(maxsize=4)
def _smallest_p(looks: tuple[int, ...], tails: int, paths: int, seed: int) -> Floats:
    """Return the smallest p value of each simulated study over its looks, sorted; one-sided up to 0.5.

    The logarithm of p is interpolated in a table of t; scipy takes a second for a million values.
    """
    smallest = np.zeros(paths)
    for n, at_look in zip(looks, _paths(looks, paths, seed), strict=True):
        table = stats.t.isf(P_TABLE / 2, n - 1)
        t = at_look if tails == 1 else np.abs(at_look)
        np.minimum(smallest, np.interp(t, table, np.log(P_TABLE * tails / 2)), out=smallest)
    smallest.sort()
    return np.exp(smallest)


def _paths(looks: Sequence[int], paths: int, seed: int) -> Iterator[Floats]:
    """Yield the paired t statistics of all simulated studies at each look."""
    random = np.random.default_rng(seed)
    mean, squares, before = np.zeros(paths), np.zeros(paths), 0
    for n in looks:
        for number in range(before + 1, n + 1):  # Welford's update, which cancels nothing
            drawn = random.standard_normal(paths)
            step = drawn - mean
            mean += step / number
            squares += step * (drawn - mean)
        yield mean / np.sqrt(squares / (n - 1) / n)
        before = n


def _check_looks(looks: Sequence[int], largest: int) -> None:
    increasing = all(a < b for a, b in pairwise(looks))
    if not looks or looks[0] < 2 or not increasing or looks[-1] > largest:
        raise ValueError(
            f"expected looks at 2 pairs or more, increasing, at most {largest}, got {list(looks)}"
        )
