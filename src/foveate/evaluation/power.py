"""What a paired comparison could have detected, and how many seeds it takes.

The squared standard error of a mean difference over n seeds is σ²/n + v: σ is the spread between seeds, and v
is the part that comes from the choice of the test images (0 for "a new seed on these images"), which more
seeds do not reduce. The tests are those of `foveate.evaluation.estimates` for many images.
"""

import math

import numpy as np
from scipy import optimize, special, stats

from foveate.evaluation.statistics import ROUNDING

__all__ = ["detectable_difference", "paired_power", "seeds_needed"]

CHI_QUANTILES = (np.arange(2000) + 0.5) / 2000
LARGEST_EFFECT = 1e9
"""In standard deviations; two seeds at an alpha of 1e-6 detect an effect of some 1e6."""
MOST_SEEDS = 2**40
"""So many seeds leave nothing but the chance in the images."""


def paired_power(effect: float, n: int, alpha: float, image_variance: float = 0.0) -> float:
    """Chance that a two-sided paired test of n seeds at `alpha` detects a true effect d_z = `effect`.

    For these images this is the upper and lower tail of the noncentral t distribution with n - 1 degrees of
    freedom and noncentrality d_z·√n, as E over s of Φ(d_z·√n - t·s) + Φ(-d_z·√n - t·s),
    s² = χ²_{n-1} / (n - 1), the mean taken over quantiles of s. scipy's `nct` returns NaN at few degrees of
    freedom and small alpha, where a study of three seeds lives, and statsmodels' `solve_power` then stops at
    a wrong effect without a word.

    Args:
        image_variance: v / σ², in units of the variance between seeds.
    """
    return _Power(n, alpha, image_variance).of(abs(effect))


class _Power:
    """The power of a test of n seeds, as a function of the effect."""

    def __init__(self, n: int, alpha: float, image_variance: float) -> None:
        df, images = n - 1, n * image_variance
        s2 = stats.chi2.ppf(CHI_QUANTILES, df) / df
        t, z = stats.t.isf(alpha / 2, df), stats.norm.isf(alpha / 2)
        self._reach = np.sqrt(t**2 * s2 + z**2 * images)
        self._scale, self._root = math.sqrt(1 + images), math.sqrt(n)

    def of(self, effect: float) -> float:
        shift = effect * self._root
        above, below = ((sign * shift - self._reach) / self._scale for sign in (1, -1))
        return float((special.ndtr(above) + special.ndtr(below)).mean())


def detectable_difference(
    std_of_differences: float | None,
    n: int,
    alpha: float = 0.05,
    power: float = 0.8,
    image_variance: float = 0.0,
) -> float | None:
    """Smallest true difference that n paired seeds detect with chance `power`, in the unit of the std.

    `image_variance` is v, in that unit squared.
    """
    if n < 2 or not std_of_differences or std_of_differences <= ROUNDING:
        return None
    test = _Power(n, alpha, image_variance / std_of_differences**2)
    # SciPy solves for the logarithm: the effect spans ten orders of magnitude.
    log_effect = optimize.brentq(
        lambda log: test.of(math.exp(log)) - power, math.log(1e-6), math.log(LARGEST_EFFECT)
    )
    return std_of_differences * math.exp(log_effect)


def seeds_needed(
    difference: float | None,
    std_of_differences: float | None,
    alpha: float = 0.05,
    power: float = 0.8,
    image_variance: float = 0.0,
) -> int | None:
    """Fewest paired seeds that detect a true `difference` of this spread with chance `power`; at least 2.

    None where there is no difference to detect (zero, or under a millionth of the spread) or no spread, and
    where no number of seeds is enough, because of the chance in the images.
    """
    if difference is None or not std_of_differences or std_of_differences <= ROUNDING:
        return None
    effect = abs(difference) / std_of_differences
    if effect < 1e-6 or abs(difference) <= ROUNDING:
        return None
    images = image_variance / std_of_differences**2
    if images and paired_power(effect, MOST_SEEDS, alpha, images) < power:
        return None
    enough = 2
    while paired_power(effect, enough, alpha, images) < power:
        enough *= 2
    too_few = max(enough // 2, 1)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if paired_power(effect, middle, alpha, images) < power:
            too_few = middle
        else:
            enough = middle
    return enough
