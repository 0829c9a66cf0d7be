"""The interval of a mean over few values, inside of the bounds that such a mean has.

A t interval, mean ± t·s/√n, knows nothing of bounds: two accuracies of 0.95 and 0.97 give one up to 1.09. The
interval here is Wilson's score interval (J. Am. Stat. Assoc. 22, 1927) with Student's quantile and the spread
that was measured, as surveys use it for proportions whose spread is not that of a binomial (Kott and Carr,
J. Off. Stat. 13, 1997; compared with others by Dean and Pagano, J. Surv. Stat. Methodol. 3, 2015). It
holds each possible mean x that a t-test of it does not reject, where the standard error under x follows x:

    (mean - x)² ≤ t² · se² · v(x) / v(mean),   v(x) = (x - low)(high - x).

The variance of whatever lies in [low, high] is at most v of its mean (Bhatia and Davis, Am. Math. Mon. 107,
2000), so it must vanish towards the bounds as v does. With one bound, v(x) = x - low; without bounds v = 1,
and this is the t interval, which it also approaches where the bounds are far away.
"""

import math
from dataclasses import dataclass

from scipy import stats

from foveate.records.metric import Metric

__all__ = [
    "AMOUNT",
    "DIFFERENCE",
    "SHARE",
    "Bounds",
    "bounds_of",
    "interval_of_reach",
    "mean_interval",
    "share_interval",
]


@dataclass(frozen=True)
class Bounds:
    """What the values of a quantity lie between; infinity stands for no bound."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def of_differences(self) -> "Bounds":
        """The bounds of the difference of two such values."""
        return Bounds(self.low - self.high, self.high - self.low)

    @property
    def width(self) -> float:
        """The distance between the bounds."""
        return self.high - self.low


SHARE = Bounds(0, 1)
AMOUNT = Bounds(low=0)
DIFFERENCE = SHARE.of_differences


def bounds_of(metric: Metric) -> Bounds:
    """Return the bounds of a metric's values."""
    low = -math.inf if metric.low is None else metric.low
    return Bounds(low, math.inf if metric.high is None else metric.high)


def mean_interval(
    mean: float,
    std: float | None,
    n: int,
    bounds: Bounds | None = None,
    *,
    level: float = 0.95,
    tested_against: float | None = None,
) -> tuple[float, float] | None:
    """Return the interval of a mean of `n` values with sample standard deviation `std`.

    None without a spread, and where the mean lies on or outside of its `bounds`, which no spread allows.

    Args:
        tested_against: the mean of a hypothesis that a t-test was made of. The interval leaves it out if and
            only if that test rejects it at 1 - `level`: from the mean towards that value, and as far beyond
            it, the standard error is the measured one, as in the test.
    """
    if not std or n < 2:
        return None
    half = float(stats.t.isf((1 - level) / 2, n - 1)) * std / math.sqrt(n)
    return interval_of_reach(mean, half, bounds, tested_against=tested_against)


def interval_of_reach(
    mean: float, half: float, bounds: Bounds | None = None, *, tested_against: float | None = None
) -> tuple[float, float] | None:
    """Return the interval of a mean that reaches `half` to either side, where bounds are far away.

    The other arguments are those of `mean_interval`.
    """
    bounds = bounds or Bounds()
    if not bounds.low < mean < bounds.high:
        return None
    low, high = _score_interval(mean, half, bounds)
    if tested_against is not None:
        reach = abs(mean - tested_against)
        if mean > tested_against and mean - half >= tested_against - reach:
            low = mean - half
        if mean < tested_against and mean + half <= tested_against + reach:
            high = mean + half
    return max(low, bounds.low), min(high, bounds.high)


def share_interval(count: int, of: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of the share `count` / `of`, such as of the images that are answered."""
    found = stats.binomtest(count, of).proportion_ci(level, "wilson")
    return float(found.low), float(found.high)


def _score_interval(mean: float, half: float, bounds: Bounds) -> tuple[float, float]:
    """Solve (mean - x)² = half² · v(x) / v(mean), a quadratic equation, for x."""
    low, high = bounds.low, bounds.high
    if math.isinf(low) and math.isinf(high):
        return mean - half, mean + half
    if math.isinf(low):
        mirrored = _score_interval(-mean, half, Bounds(-high, -low))
        return -mirrored[1], -mirrored[0]
    if math.isinf(high):
        share = half**2 / (mean - low)
        centre = mean + share / 2
        reach = math.sqrt(half**2 + share**2 / 4)
        return centre - reach, centre + reach
    share = half**2 / ((mean - low) * (high - mean))
    centre = (mean + share * (low + high) / 2) / (1 + share)
    product = (mean**2 + share * low * high) / (1 + share)
    reach = math.sqrt(max(centre**2 - product, 0))
    return centre - reach, centre + reach
