"""A mean paired difference with its standard error, for new seeds on these images or on new images.

Differences d_si of n seeds s on N test images i (b minus a, both trained with seed s and tested on image i)
follow the crossed model d_si = μ + a_s + b_i + e_si with independent random effects. Two populations can be
meant by "the true difference":

* new seeds on these images: the images are fixed. The variance of the mean is S²/n with S² the variance of
  the seeds' means: the paired t-test over seeds;
* new seeds on new images of this kind: images are drawn, too. The variance of the mean is
  σ_a²/n + σ_b²/N + σ_e²/(nN), estimated from the mean squares of a two-way layout without replication as
  (MS_a + max(MS_b - MS_e, 0)) / (nN) (Searle, Casella and McCulloch, Variance Components, 1992, chapter 4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from foveate.evaluation.intervals import Bounds, interval_of_reach
from foveate.evaluation.statistics import ROUNDING

__all__ = ["Estimate", "over_draws", "over_seeds", "over_seeds_and_images"]

SMALLEST_P = 1e-200
"""A smaller p value is not told apart from this one."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of a mean difference, and the variances of its error.

    Tests and intervals add the two variances, each with the square of its own quantile (Banerjee, Sankhya 21,
    1960): at a two-sided level p, the estimate reaches √(t²_p(seeds) · V_a + t²_p(images) · V_b) to either
    side. They err at most as often as they say at each level, however V_a and V_b compare. Degrees of freedom
    by Satterthwaite (Biometrics Bull. 2, 1946) take V_a for known: with three seeds such tests err in up to
    3.4 % of the studies at a level of 1 % (benchmarks/simulated_coverage.py).

    Attributes:
        difference: the estimate.
        seed_variance: V_a, what more seeds reduce, above 0.
        seed_df: its degrees of freedom.
        image_variance: V_b, what more seeds do not reduce; 0 on the same images.
        image_df: its degrees of freedom.
    """

    difference: float
    seed_variance: float
    seed_df: int
    image_variance: float = 0.0
    image_df: int = 1

    @property
    def standard_error(self) -> float:
        """The standard error of the estimate."""
        return math.sqrt(self.seed_variance + self.image_variance)

    @property
    def p_different(self) -> float:
        """The two-sided p value of the hypothesis that the true difference is 0."""
        return self._two_sided(abs(self.difference))

    def p_above(self, limit: float) -> float:
        """Return the one-sided p value against a true difference of at most `limit`."""
        half = self._two_sided(abs(self.difference - limit)) / 2
        return half if self.difference >= limit else 1 - half

    def p_below(self, limit: float) -> float:
        """Return the one-sided p value against a true difference of at least `limit`."""
        return 1 - self.p_above(limit) if self.difference != limit else 0.5

    def p_within(self, margin: float) -> float:
        """Return the p value against a true difference of `margin` or more, in either direction.

        These are two one-sided tests, and the larger of their p values (TOST: Schuirmann, J. Pharmacokinet.
        Biopharm. 15, 1987; Lakens, Soc. Psychol. Personal. Sci. 8, 2017).
        """
        return max(self.p_above(-margin), self.p_below(margin))

    def reach(self, p: float) -> float:
        """Return how far from a hypothesis the estimate lies where the two-sided p value is `p`."""
        seeds = self.seed_variance * float(stats.t.isf(p / 2, self.seed_df)) ** 2
        if not self.image_variance:
            return math.sqrt(seeds)
        return math.sqrt(seeds + self.image_variance * float(stats.t.isf(p / 2, self.image_df)) ** 2)

    def interval(self, bounds: Bounds | None = None, *, level: float = 0.95) -> tuple[float, float] | None:
        """Return the interval of the true difference within `bounds`; it excludes 0 if and only if
        `p_different` is under 1 - `level`.
        """
        return interval_of_reach(self.difference, self.reach(1 - level), bounds, tested_against=0.0)

    def _two_sided(self, size: float) -> float:
        """Return the p value at which the estimate reaches `size`."""
        if not self.image_variance:
            return float(2 * stats.t.sf(size / math.sqrt(self.seed_variance), self.seed_df))
        t = size / self.standard_error
        few, many = sorted((self.seed_df, self.image_df))
        highest, lowest = (float(2 * stats.t.sf(t, df)) for df in (few, many))
        if highest < SMALLEST_P or highest == lowest:
            return highest
        found = optimize.brentq(
            lambda log: self.reach(math.exp(log)) - size,
            math.log(max(lowest, SMALLEST_P)) - 1e-6,
            min(math.log(highest) + 1e-6, 0.0),
            xtol=1e-10,
        )
        return min(math.exp(found), 1.0)


def over_seeds(differences: Sequence[float], std: float | None) -> Estimate | None:
    """Estimate the mean for new seeds on the same images.

    Args:
        differences: one for each seed.
        std: their sample standard deviation; None or 0 where they have no spread to estimate from.
    """
    n = len(differences)
    if n < 2 or not std:
        return None
    return Estimate(float(np.mean(differences)), float(std) ** 2 / n, n - 1)


def over_seeds_and_images(differences: np.ndarray) -> Estimate | None:
    """Estimate the mean for new seeds on new images, from differences of each seed on each image (n, N).

    V_a = MS_a / (nN) has n - 1 degrees of freedom, and V_b = max(MS_b - MS_e, 0) / (nN) has N - 1.

    None with fewer than two seeds or images, or where all seeds have the same mean.
    """
    n, images = differences.shape
    if n < 2 or images < 2:
        return None
    d = differences.astype(np.float64)
    of_seeds, of_images, mean = d.mean(axis=1), d.mean(axis=0), float(d.mean())
    if np.ptp(of_seeds) <= ROUNDING:
        return None
    ms_seeds = images * float(((of_seeds - mean) ** 2).sum()) / (n - 1)
    ms_images = n * float(((of_images - mean) ** 2).sum()) / (images - 1)
    total = float(((d - mean) ** 2).sum())
    ms_error = (total - (n - 1) * ms_seeds - (images - 1) * ms_images) / ((n - 1) * (images - 1))
    variance_of_images = max(ms_images - ms_error, 0.0) / (n * images)
    return Estimate(mean, ms_seeds / (n * images), n - 1, variance_of_images, images - 1)


def over_draws(differences: Sequence[float], draws: np.ndarray, images: int) -> Estimate | None:
    """Estimate the mean for new seeds on new images, of a metric that is no mean over images.

    σ_b²/N is estimated as the mean covariance, over draws of the images with replacement (bootstrap), of the
    differences of two different seeds: it is what a draw of images does to all seeds alike. For a metric
    that is a mean over images, this is the estimate of `over_seeds_and_images` up to the chance of the draws.

    Args:
        differences: one for each of n seeds.
        draws: the differences (D, n) of each seed in each of D draws of the images, the same for all seeds.
        images: their number N. A draw has the variance of a sample of N, which is short by (N - 1) / N.

    None with fewer than two seeds, or where all seeds have the same difference.
    """
    n = len(differences)
    if n < 2 or images < 2 or np.ptp(differences) <= ROUNDING:
        return None
    covariance = np.cov(draws, rowvar=False)
    shared = float(covariance.sum() - np.trace(covariance)) / (n * (n - 1)) * images / (images - 1)
    variance_of_seeds = float(np.var(differences, ddof=1)) / n
    return Estimate(float(np.mean(differences)), variance_of_seeds, n - 1, max(shared, 0.0), images - 1)
