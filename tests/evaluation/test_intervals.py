import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from foveate.evaluation.intervals import (
    AMOUNT,
    DIFFERENCE,
    SHARE,
    Bounds,
    mean_interval,
    share_interval,
)
from foveate.evaluation.statistics import describe, paired_test

shares = st.floats(0, 1).map(lambda value: round(value, 3))


def test_bounds_of_differences():
    assert SHARE.of_differences == DIFFERENCE == Bounds(-1, 1)
    assert AMOUNT.of_differences == Bounds()


@pytest.mark.parametrize(("count", "n"), [(1, 4), (7, 8), (29, 30)])
def test_with_the_spread_of_a_proportion_it_is_wilsons(count, n):
    share = count / n
    level_of_normal = 2 * stats.norm.sf(stats.t.isf(0.025, n - 1))
    expected = proportion_confint(count, n, alpha=level_of_normal, method="wilson")
    assert mean_interval(share, math.sqrt(share * (1 - share)), n, SHARE) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "of"), [(0, 18), (7, 8), (353, 359), (20, 20)])
def test_the_interval_of_a_share_is_wilsons(count, of):
    assert share_interval(count, of) == pytest.approx(proportion_confint(count, of, method="wilson"))


def test_without_bounds_or_far_from_them_it_is_the_t_interval():
    expected = stats.ttest_1samp([0.50, 0.52, 0.49], 0).confidence_interval()
    mean, std = np.mean([0.50, 0.52, 0.49]), np.std([0.50, 0.52, 0.49], ddof=1)
    assert mean_interval(mean, std, 3) == pytest.approx(tuple(expected))
    assert mean_interval(mean, std, 3, Bounds(-1e6, 1e6)) == pytest.approx(tuple(expected))
    assert mean_interval(mean, std, 3, Bounds(low=-1e6)) == pytest.approx(tuple(expected), abs=1e-6)


def test_one_bound_by_hand():
    # Mean 2 and half width 3: (2 - x)² = 9 x / 2, so x² - 8.5 x + 4 = 0.
    std = 3 * math.sqrt(3) / stats.t.isf(0.025, 2)
    roots = (8.5 - math.sqrt(56.25)) / 2, (8.5 + math.sqrt(56.25)) / 2
    assert mean_interval(2, std, 3, AMOUNT) == pytest.approx(roots)
    assert mean_interval(-2, std, 3, Bounds(high=0)) == pytest.approx((-roots[1], -roots[0]))
    assert mean_interval(9, std, 3, Bounds(low=7)) == pytest.approx((7 + roots[0], 7 + roots[1]))


def test_an_accuracy_is_not_over_one_and_a_cosine_is_not_either():
    # The t intervals of these reach 1.242 and 1.568.
    assert describe([0.95, 0.90], SHARE).ci95[1] < 1
    assert describe([0.97, 0.87], Bounds(-1, 1)).ci95[1] < 1
    assert describe([0.95, 0.90]).ci95[1] == pytest.approx(1.243, abs=1e-3)


@given(st.lists(shares, min_size=2, max_size=6), st.sampled_from([(0, 1), (-1, 1), (0, math.inf), (-0.5, 7)]))
def test_it_lies_within_the_bounds_and_holds_the_mean(values, ends):
    found = describe(values, Bounds(*ends))
    if found.std:
        low, high = found.ci95
        assert ends[0] <= low < found.mean < high <= ends[1]
    else:
        assert found.ci95 is None


@given(st.lists(st.tuples(shares, shares), min_size=2, max_size=6), st.sampled_from([0.95, 0.995, 0.5]))
def test_the_interval_of_a_difference_says_what_its_p_says(pairs, level):
    a, b = zip(*pairs, strict=True)
    test = paired_test(a, b, SHARE, level=level)
    if test.ci95 is None:
        assert test.p is None
        return
    low, high = test.ci95
    assert -1 <= low < test.difference < high <= 1
    if abs(test.p - (1 - level)) > 1e-9:
        assert (low > 0 or high < 0) == (test.p < 1 - level)


@pytest.mark.parametrize(
    ("mean", "std", "n"), [(0.9, 0.03, 3), (0.97, 0.01, 5), (0.99, 0.003, 2), (0.6, 0.03, 2)]
)
def test_it_holds_the_true_mean_as_often_as_it_says(mean, std, n):
    sums = mean * (1 - mean) / std**2 - 1
    samples = np.random.default_rng(5).beta(mean * sums, (1 - mean) * sums, (4000, n))
    intervals = [describe(sample, SHARE).ci95 for sample in samples]
    held = np.mean([found is not None and found[0] <= mean <= found[1] for found in intervals])
    assert held == pytest.approx(0.95, abs=0.011)  # three deviations of 4000 trials, and 0.001


def test_there_is_none_without_a_spread_or_outside_of_the_bounds():
    assert mean_interval(0.5, None, 1, SHARE) is None
    assert mean_interval(0.5, 0.0, 3, SHARE) is None
    assert mean_interval(1.2, 0.1, 3, SHARE) is None
