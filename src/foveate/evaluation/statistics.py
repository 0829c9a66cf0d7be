"""Statistics over seeds: spread, paired tests and their adjustment.

All functions are pure and take plain arrays of one value per seed. Three rules hold everywhere:

* fewer than two seeds: there is no spread and no test (None);
* a spread of zero (up to rounding, `ROUNDING`) carries no information on chance: no interval, no effect size
  and no p value (None), whatever the difference is;
* an interval lies within the bounds of what it is of, where these are given (foveate.evaluation.intervals).

So no result is ever NaN or infinite.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from foveate.errors import RequestError, unknown_name
from foveate.evaluation.intervals import Bounds, mean_interval

__all__ = [
    "ROUNDING",
    "Anova",
    "Description",
    "PairedTest",
    "adjust_family",
    "adjust_p_values",
    "describe",
    "paired_test",
    "pooled_std",
    "repeated_measures_anova",
    "rounding_of",
]

ADJUSTMENTS = ("holm", "bonferroni")
ROUNDING = 1e-6
"""Equal values differ by less than this share of them, or of the width of their bounds, through rounding.

Scores are computed in float32, whose rounding is 6e-8 of a value. An accuracy that differs by one image is
taken for equal on more than a million images only.
"""


@dataclass(frozen=True)
class Description:
    """The spread of one value per seed; None of what so few values cannot give.

    Attributes:
        mean: of the values.
        std: sample standard deviation (n - 1); it needs two values.
        ci95: 95 % interval of the mean; it needs a spread.
        values: one per seed.
    """

    mean: float | None
    std: float | None
    ci95: tuple[float, float] | None
    values: tuple[float, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no value."""
        return self.mean is None


@dataclass(frozen=True)
class PairedTest:
    """A two-sided paired t-test of b against a; None of what so few or such equal differences cannot give.

    Attributes:
        difference: mean of b - a.
        std: sample standard deviation of the differences.
        ci95: interval of the mean difference, at 95 % or at the level that was asked for.
        p: chance of a difference at least as large where there is none.
        cohens_d: the paired effect size, d_z: mean difference over the standard deviation of the differences
            (not over the spread of the values themselves, which pairing removes).
        n: number of pairs.
    """

    difference: float | None
    std: float | None
    ci95: tuple[float, float] | None
    p: float | None
    cohens_d: float | None
    n: int


@dataclass(frozen=True)
class Anova:
    """A one-way repeated-measures analysis of variance.

    Attributes:
        f: the statistic.
        df: degrees of freedom, (k - 1, (n - 1)(k - 1)).
        p: under sphericity, that is equal variances of all pairwise differences.
        epsilon: of Greenhouse and Geisser (Psychometrika 24, 1959).
        p_corrected: without that assumption: epsilon shrinks both degrees of freedom.
        n: number of seeds.
        mechanisms: number k of mechanisms.
    """

    f: float
    df: tuple[int, int]
    p: float
    epsilon: float
    p_corrected: float
    n: int
    mechanisms: int


def describe(values: Sequence[float], bounds: Bounds | None = None) -> Description:
    """Describe one value per seed; with `bounds` of the values the interval lies within them.

    Without `bounds` it is the t interval.
    """
    if not len(values):
        return Description(None, None, None, ())
    mean, n = float(np.mean(values)), len(values)
    std = _std(values, rounding_of(values, bounds)) if n > 1 else None
    interval = mean_interval(mean, std, n, bounds)
    return Description(mean, std, interval, tuple(float(value) for value in values))


def paired_test(
    a: Sequence[float], b: Sequence[float], bounds: Bounds | None = None, *, level: float = 0.95
) -> PairedTest:
    """Test b against a, matched by position (the same seed at the same place).

    `bounds` are those of the values of a and b. Equal differences have no p, no interval and no effect size:
    there is no spread to test against. The interval excludes 0 if and only if p is under 1 - `level`.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values must match seed by seed, got {len(a)} and {len(b)} of them")
    differences, n = [y - x for x, y in zip(a, b, strict=True)], len(a)
    if not n:
        return PairedTest(None, None, None, None, None, 0)
    mean = float(np.mean(differences))
    if n < 2:
        return PairedTest(mean, None, None, None, None, n)
    std = _std(differences, rounding_of([*a, *b], bounds))
    interval = mean_interval(mean, std, n, bounds and bounds.of_differences, level=level, tested_against=0.0)
    if not std:
        return PairedTest(mean, std, interval, None, None, n)
    d = mean / std
    return PairedTest(mean, std, interval, float(2 * stats.t.sf(abs(d) * math.sqrt(n), n - 1)), d, n)


def adjust_p_values(p_values: Sequence[float | None], method: str = "holm") -> list[float | None]:
    """Adjust a family of p values for their number, "holm" (step-down) or "bonferroni".

    Both bound the chance of even one false alarm in the family. A None (no test was possible) stays None and
    does not count as a test.
    """
    if method not in ADJUSTMENTS:
        raise RequestError(unknown_name("adjustment of p values", method, ADJUSTMENTS))
    known = np.array([p for p in p_values if p is not None], dtype=float)
    order, number = np.argsort(known), len(known)
    # statsmodels' multipletests collects garbage in each call, which takes 0.1 s beside torch.
    factors = number - np.arange(number) if method == "holm" else np.full(number, number)
    adjusted = np.empty(number)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * known[order]), 1.0)
    left = iter(adjusted)
    return [None if p is None else float(next(left)) for p in p_values]


def adjust_family(
    tests: Sequence[PairedTest], method: str = "holm", p_values: Sequence[float | None] | None = None
) -> list[float | None]:
    """Return the adjusted p value of each of `tests`, all of which are one family.

    A test of several seeds without a spread has no p, but it belongs to what was compared: the others are
    adjusted for it too. `p_values` are those of another hypothesis on the same differences, one for each of
    `tests`; by default their own.
    """
    own = [test.p for test in tests] if p_values is None else p_values
    family = [1.0 if p is None and test.n > 1 else p for p, test in zip(own, tests, strict=True)]
    return [
        None if p is None else p_adjusted
        for p, p_adjusted in zip(own, adjust_p_values(family, method), strict=True)
    ]


def repeated_measures_anova(table: ArrayLike) -> Anova | None:
    """Test whether any of the k mechanisms in `table` (n seeds, k mechanisms) differs from the others.

    Returns None where this cannot be done: n < 2, k < 2, or no residual once seeds and mechanisms are
    subtracted.
    """
    x = np.asarray(table, dtype=float)
    n, k = x.shape
    if n < 2 or k < 2:
        return None
    effect = x.mean(axis=0) - x.mean()
    residual = x - x.mean(axis=1, keepdims=True) - effect
    between, error = n * float(effect @ effect), float((residual**2).sum())
    if error <= n * k * rounding_of(x.ravel(), None) ** 2:
        return None
    df = k - 1, (n - 1) * (k - 1)
    f = (between / df[0]) / (error / df[1])
    # Rows of `residual` are double-centred, so this is the centred covariance of the mechanisms, up to n - 1.
    covariance = residual.T @ residual
    epsilon = float(np.trace(covariance) ** 2 / ((k - 1) * (covariance**2).sum()))
    p_corrected = float(stats.f.sf(f, df[0] * epsilon, df[1] * epsilon))
    return Anova(f, df, float(stats.f.sf(f, *df)), epsilon, p_corrected, n, k)


def pooled_std(spreads: Sequence[tuple[float | None, int]]) -> float | None:
    """Pool (std, n) of several samples: the root of their variances' mean, weighted by n - 1."""
    known = [(std, n - 1) for std, n in spreads if std is not None and n > 1]
    if not known:
        return None
    return math.sqrt(sum(std**2 * df for std, df in known) / sum(df for _, df in known))


def _std(values: Sequence[float], rounding: float) -> float:
    """Sample standard deviation; exactly 0.0 where the values are equal up to `rounding`."""
    return 0.0 if np.ptp(values) <= rounding else float(np.std(values, ddof=1))


def rounding_of(values: ArrayLike, bounds: Bounds | None) -> float:
    """Return how far equal values of this size may lie apart.

    Scores within bounds are computed from larger values, so their size does not matter.
    """
    if bounds is not None and math.isfinite(bounds.width):
        return ROUNDING * bounds.width
    return ROUNDING * float(np.abs(values).max())
