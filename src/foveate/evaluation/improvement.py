"""The chance that one network beats another on a new seed, after Bouthillier et al. (MLSys 2021).

They recommend P(A > B), the chance that a run of A is better than a run of B, beside the mean difference: a
mean over seeds says little of the one network that will be used. They estimate it by the share of pairs that
A wins, with a bootstrap interval, from tens of pairs. With three to ten pairs that interval has no meaning
(three wins of three give 1 to 1), so here the differences are taken for normal:

    P(A > B) = Φ(δ / σ),

and its interval is that of δ / σ by the noncentral t distribution, which is exact for normal differences:
t = √n · d / s has the noncentrality √n · δ / σ and n - 1 degrees of freedom (Hedges and Olkin, Statistical
Methods for Meta-Analysis, 1985).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

__all__ = ["Improvement", "chance_of_improvement"]

QUANTILES = (np.arange(1000) + 0.5) / 1000
FARTHEST = 40.0
"""A noncentrality beyond t by this many times (1 + |t|) is never needed."""


@dataclass(frozen=True)
class Improvement:
    """How often b is better than a with the same new seed, on the same images.

    Attributes:
        probability: the estimated chance, Φ(d / s).
        ci95: its 95 % interval.
        wins: number of seeds on which b was better.
        ties: number of seeds on which both were equal.
        n: number of seeds.
    """

    probability: float
    ci95: tuple[float, float]
    wins: int
    ties: int
    n: int


def chance_of_improvement(
    gains: Sequence[float], std: float | None, level: float = 0.95
) -> Improvement | None:
    """Estimate the chance from the gains of b over a, one for each seed, and their standard deviation.

    None where the gains have no spread.
    """
    n = len(gains)
    if n < 2 or not std:
        return None
    effect = float(np.mean(gains)) / std
    t, df = math.sqrt(n) * effect, n - 1
    tail = (1 - level) / 2
    low, high = (_noncentrality(t, df, below) / math.sqrt(n) for below in (1 - tail, tail))
    wins, ties = sum(bool(gain > 0) for gain in gains), sum(bool(gain == 0) for gain in gains)
    ends = float(special.ndtr(low)), float(special.ndtr(high))
    return Improvement(float(special.ndtr(effect)), ends, wins, ties, n)


def _noncentrality(t: float, df: int, below: float) -> float:
    """Return the noncentrality whose t variable is at most `t` with chance `below`.

    P(T ≤ t) = E Φ(t·s - λ) over s² = χ²_df / df, a mean over quantiles of s; scipy's `nct` returns NaN at few
    degrees of freedom.
    """
    s = np.sqrt(stats.chi2.ppf(QUANTILES, df) / df)
    reach = FARTHEST * (1 + abs(t))
    return float(
        optimize.brentq(lambda shift: float(special.ndtr(t * s - shift).mean()) - below, -reach, reach)
    )
