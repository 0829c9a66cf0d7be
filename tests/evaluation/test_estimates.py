"""Mean paired differences: against a two-way analysis of variance, t-tests, and by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.weightstats import ttost_paired

from foveate.evaluation.estimates import over_draws, over_seeds, over_seeds_and_images
from foveate.evaluation.intervals import DIFFERENCE

RANDOM = np.random.default_rng(5)


def crossed(n: int, images: int, *, seeds: float, of_images: float, both: float) -> np.ndarray:
    """Differences with random effects of these standard deviations."""
    effect = RANDOM.normal(0, seeds, (n, 1)) + RANDOM.normal(0, of_images, (1, images))
    return 0.01 + effect + RANDOM.normal(0, both, (n, images))


def test_over_seeds_is_the_paired_t_test():
    a, b = [0.91, 0.92, 0.90, 0.93], [0.93, 0.925, 0.92, 0.935]
    differences = np.subtract(b, a)
    estimate = over_seeds(differences, differences.std(ddof=1))
    assert estimate.p_different == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert estimate.interval() == pytest.approx(stats.ttest_rel(b, a).confidence_interval())
    for margin in (0.001, 0.012, 0.05):
        expected, (_, above, _), (_, below, _) = ttost_paired(np.array(b), np.array(a), -margin, margin)
        assert estimate.p_within(margin) == pytest.approx(expected)
        assert estimate.p_above(-margin) == pytest.approx(above)
        assert estimate.p_below(margin) == pytest.approx(below)


def test_over_seeds_and_images_has_the_mean_squares_of_an_analysis_of_variance():
    d = crossed(4, 30, seeds=0.05, of_images=0.4, both=0.5)
    n, images = d.shape
    rows = [{"d": d[s, i], "seed": s, "image": i} for s in range(n) for i in range(images)]
    table = sm.stats.anova_lm(ols("d ~ C(seed) + C(image)", pd.DataFrame(rows)).fit())
    a, b, e = table["mean_sq"]
    estimate = over_seeds_and_images(d)
    assert estimate.difference == pytest.approx(d.mean())
    assert estimate.standard_error**2 == pytest.approx((a + b - e) / d.size)
    assert estimate.image_variance == pytest.approx((b - e) / d.size)
    for p in (0.5, 0.05, 1e-4):
        reach = estimate.reach(p)
        squares = [stats.t.isf(p / 2, df) ** 2 * v for df, v in ((n - 1, a), (images - 1, b - e))]
        assert reach**2 == pytest.approx(sum(squares) / d.size)
        assert replace(estimate, difference=-reach).p_different == pytest.approx(p)
        assert replace(estimate, difference=0.3 - reach).p_below(0.3) == pytest.approx(p / 2)
        assert replace(estimate, difference=0.3 + reach).p_above(0.3) == pytest.approx(p / 2)
        assert replace(estimate, difference=0.3 + reach).p_below(0.3) == pytest.approx(1 - p / 2)


def test_without_a_spread_between_images_it_is_the_paired_t_test():
    d = crossed(4, 500, seeds=0.05, of_images=0.0, both=0.1)
    d -= d.mean(axis=0) - d.mean()  # the same mean for each image
    estimate, over = over_seeds_and_images(d), over_seeds(d.mean(axis=1), d.mean(axis=1).std(ddof=1))
    assert estimate.standard_error == pytest.approx(over.standard_error)
    assert estimate.p_different == pytest.approx(over.p_different)


def test_draws_of_the_images_give_the_same_estimate_of_a_mean():
    d = crossed(5, 400, seeds=0.02, of_images=0.4, both=0.5)
    counts = RANDOM.multinomial(400, np.full(400, 1 / 400), size=4000)
    found, expected = over_draws(d.mean(axis=1), counts @ d.T / 400, 400), over_seeds_and_images(d)
    assert found.difference == pytest.approx(expected.difference)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.05)


def test_draws_of_few_images_are_not_too_sure():
    d = crossed(5, 12, seeds=0.02, of_images=0.9, both=0.2)
    counts = RANDOM.multinomial(12, np.full(12, 1 / 12), size=40_000)
    found, expected = over_draws(d.mean(axis=1), counts @ d.T / 12, 12), over_seeds_and_images(d)
    assert found.image_variance == pytest.approx(expected.image_variance, rel=0.03)
    assert found.reach(0.05) == pytest.approx(expected.reach(0.05), rel=0.03)


def test_what_has_no_spread_has_no_estimate():
    same = np.ones((3, 20))
    same[:, :7] = 0
    assert over_seeds_and_images(same) is None
    assert over_seeds_and_images(np.zeros((1, 20))) is None
    assert over_seeds_and_images(np.array([[0.0], [1.0]])) is None
    assert over_seeds([0.1], None) is None
    assert over_seeds([0.1, 0.1], 0.0) is None
    assert over_draws([0.1, 0.1], np.zeros((10, 2)), 20) is None
    assert over_draws([0.1, 0.2], np.zeros((10, 2)), 1) is None


def test_the_interval_excludes_zero_if_and_only_if_p_is_small():
    for shift in np.linspace(0, 0.3, 25):
        estimate = over_seeds_and_images(crossed(4, 50, seeds=0.05, of_images=0.2, both=0.3) + shift)
        low, high = estimate.interval(DIFFERENCE)
        assert (low <= 0 <= high) == (estimate.p_different >= 0.05)


def test_extreme_differences_have_p_values_too():
    estimate = over_seeds_and_images(crossed(3, 50, seeds=0.05, of_images=0.4, both=0.5))
    assert replace(estimate, difference=0.0).p_different == pytest.approx(1)
    assert 0 <= replace(estimate, difference=1e6).p_different < 1e-9
    assert replace(estimate, difference=1e6).p_within(0.1) == pytest.approx(1)
    exact = replace(estimate, seed_df=10**6, image_df=10**6)
    expected = 2 * stats.norm.sf(abs(exact.difference) / exact.standard_error)
    assert exact.p_different == pytest.approx(expected, rel=1e-4)
