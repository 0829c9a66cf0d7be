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
from scipy import stats

from foveate.evaluation.intervals import Bounds, standard_error_interval
from foveate.evaluation.statistics import ROUNDING

__all__ = ["Estimate", "over_draws", "over_seeds", "over_seeds_and_images"]


@dataclass(frozen=True)
class Estimate:
    """An estimate of a mean difference, and the t distribution of its error.

    Attributes:
        difference: the estimate.
        standard_error: of the estimate, above 0.
        df: degrees of freedom of the standard error.
        image_variance: the part of the squared standard error that more seeds do not reduce.
    """

    difference: float
    standard_error: float
    df: float
    image_variance: float = 0.0

    @property
    def p_different(self) -> float:
        """The two-sided p value of the hypothesis that the true difference is 0."""
        return float(2 * stats.t.sf(abs(self.difference) / self.standard_error, self.df))

    def p_above(self, limit: float) -> float:
        """Return the one-sided p value against a true difference of at most `limit`."""
        return float(stats.t.sf((self.difference - limit) / self.standard_error, self.df))

    def p_below(self, limit: float) -> float:
        """Return the one-sided p value against a true difference of at least `limit`."""
        return float(stats.t.cdf((self.difference - limit) / self.standard_error, self.df))

    def p_within(self, margin: float) -> float:
        """Return the p value against a true difference of `margin` or more, in either direction.

        These are two one-sided tests, and the larger of their p values (TOST: Schuirmann, J. Pharmacokinet.
        Biopharm. 15, 1987; Lakens, Soc. Psychol. Personal. Sci. 8, 2017).
        """
        return max(self.p_above(-margin), self.p_below(margin))

    def interval(self, bounds: Bounds | None = None, *, level: float = 0.95) -> tuple[float, float] | None:
        """Return the interval of the true difference within `bounds`; it excludes 0 if and only if
        `p_different` is under 1 - `level`.
        """
        return standard_error_interval(
            self.difference, self.standard_error, self.df, bounds, level=level, tested_against=0.0
        )


def over_seeds(differences: Sequence[float], std: float | None) -> Estimate | None:
    """Estimate the mean for new seeds on the same images.

    Args:
        differences: one for each seed.
        std: their sample standard deviation; None or 0 where they have no spread to estimate from.
    """
    n = len(differences)
    if n < 2 or not std:
        return None
    return Estimate(float(np.mean(differences)), float(std) / math.sqrt(n), n - 1)


def over_seeds_and_images(differences: np.ndarray) -> Estimate | None:
    """Estimate the mean for new seeds on new images, from differences of each seed on each image (n, N).

    With V_a = MS_a / (nN) of n - 1 degrees of freedom, and V_b = max(MS_b - MS_e, 0) / (nN) of N - 1, the
    squared standard error is V = V_a + V_b, and its degrees of freedom are V / (V_a / (n-1) + V_b / (N-1)).
    Satterthwaite's formula (Biometrics Bull. 2, 1946) has the squares of these parts in place of the parts:
    with three seeds V_a is so uncertain that intervals by it cover 92 % instead of 95 %; with the parts
    themselves they cover 94 to 96.6 % (benchmarks/coverage.py).

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
    return _combined(mean, ms_seeds / (n * images), n - 1, variance_of_images, images - 1)


def over_draws(differences: Sequence[float], draws: np.ndarray) -> Estimate | None:
    """Estimate the mean for new seeds on new images, of a metric that is no mean over images.

    σ_b²/N is estimated as the mean covariance, over draws of the images with replacement (bootstrap), of the
    differences of two different seeds: it is what a draw of images does to all seeds alike. For a metric
    that is a mean over images, this is the estimate of `over_seeds_and_images` up to the chance of the draws.

    Args:
        differences: one for each of n seeds.
        draws: the differences (D, n) of each seed in each of D draws of the images, the same for all seeds.

    None with fewer than two seeds, or where all seeds have the same difference.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) <= ROUNDING:
        return None
    covariance = np.cov(draws, rowvar=False)
    shared = float(covariance.sum() - np.trace(covariance)) / (n * (n - 1))
    variance_of_seeds = float(np.var(differences, ddof=1)) / n
    return _combined(float(np.mean(differences)), variance_of_seeds, n - 1, max(shared, 0.0), len(draws) - 1)


def _combined(mean: float, seeds: float, df_seeds: int, images: float, df_images: int) -> Estimate:
    variance = seeds + images
    df = variance / (seeds / df_seeds + images / df_images)
    return Estimate(mean, math.sqrt(variance), df, images)
