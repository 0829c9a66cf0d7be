"""The chance of improvement: its interval against scipy's noncentral t, and its coverage."""

import numpy as np
import pytest
from scipy import stats

from foveate.evaluation.improvement import chance_of_improvement


def test_the_interval_is_that_of_the_noncentral_t_distribution():
    gains = [0.010, 0.004, -0.002, 0.007, 0.006, 0.001, 0.003, 0.009, 0.002, 0.005]
    std = float(np.std(gains, ddof=1))
    found = chance_of_improvement(gains, std)
    t = np.mean(gains) / std * np.sqrt(10)
    assert found.probability == pytest.approx(stats.norm.cdf(np.mean(gains) / std))
    low, high = (stats.norm.ppf(end) * np.sqrt(10) for end in found.ci95)
    assert stats.nct.cdf(t, 9, low) == pytest.approx(0.975, abs=1e-3)
    assert stats.nct.cdf(t, 9, high) == pytest.approx(0.025, abs=1e-3)
    assert (found.wins, found.ties, found.n) == (9, 0, 10)


def test_the_interval_holds_the_true_chance_in_19_of_20_studies_of_three_seeds():
    random, held = np.random.default_rng(8), 0
    for gains in random.normal(0.7, 1, size=(600, 3)):
        low, high = chance_of_improvement(gains, gains.std(ddof=1)).ci95
        held += low <= stats.norm.cdf(0.7) <= high
    assert held / 600 == pytest.approx(0.95, abs=0.025)


def test_the_reverse_comparison_has_the_reverse_chance():
    gains = [0.3, -0.1, 0.2]
    std = float(np.std(gains, ddof=1))
    found, reverse = chance_of_improvement(gains, std), chance_of_improvement([-g for g in gains], std)
    assert reverse.probability == pytest.approx(1 - found.probability)
    assert reverse.ci95 == pytest.approx((1 - found.ci95[1], 1 - found.ci95[0]), abs=1e-6)


def test_far_from_zero_and_without_a_spread():
    assert chance_of_improvement([1.0, 2.0, 3.0], 1e-5).ci95 == (1.0, 1.0)
    assert chance_of_improvement([0.1, 0.1], 0.0) is None
    assert chance_of_improvement([0.1], None) is None
