"""What could have been detected: against statsmodels, published sample sizes and simulated studies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from foveate.evaluation.power import detectable_difference, paired_power, seeds_needed


@pytest.mark.parametrize(("effect", "n"), [(0.5, 20), (0.8, 15), (1.2, 8), (0.2, 100)])
def test_power_agrees_with_statsmodels(effect, n):
    assert paired_power(effect, n, 0.05) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-4)


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_gives_the_published_sample_sizes(effect, seeds):
    # Cohen's small, medium and large effect at alpha 0.05 and power 0.8, matched pairs, as in G*Power.
    assert seeds_needed(effect, 1.0) == seeds
    assert seeds_needed(-effect * 0.01, 0.01) == seeds


@pytest.mark.parametrize(("n", "alpha"), [(2, 0.05), (3, 0.05 / 6), (5, 0.05)])
def test_detectable_difference_is_detected_in_four_of_five_simulated_studies(n, alpha):
    std = 0.004
    difference = detectable_difference(std, n, alpha)
    simulated = np.random.default_rng(11).normal(difference, std, size=(20_000, n))
    assert np.mean(stats.ttest_1samp(simulated, 0, axis=1).pvalue < alpha) == pytest.approx(0.8, abs=0.01)


@given(st.integers(2, 60), st.sampled_from([0.05, 0.05 / 6, 0.05 / 91]), st.sampled_from([0.8, 0.9]))
def test_seeds_needed_inverts_detectable_difference(n, alpha, power):
    difference = detectable_difference(1.0, n, alpha, power)
    assert paired_power(difference, n, alpha) == pytest.approx(power, abs=1e-6)
    assert seeds_needed(1.0001 * difference, 1.0, alpha, power) == n


def test_what_cannot_be_detected_or_needed_is_none():
    assert detectable_difference(None, 3) is None
    assert detectable_difference(0.0, 3) is None
    assert detectable_difference(0.1, 1) is None
    assert seeds_needed(None, 0.1) is None
    assert seeds_needed(0.0, 0.1) is None
    assert seeds_needed(0.1, None) is None
    assert seeds_needed(0.1, 0.0) is None
    assert seeds_needed(1e-9, 0.1) is None
    assert seeds_needed(0.0001, 0.1) > 1_000_000


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_chance_in_the_images_counts_as_in_simulated_studies(n):
    std, image_variance, alpha = 0.004, 0.002**2, 0.05
    difference = detectable_difference(std, n, alpha, image_variance=image_variance)
    random = np.random.default_rng(n)
    images = random.normal(0, image_variance**0.5, size=(20_000, 1))
    simulated = random.normal(difference, std, size=(20_000, n)) + images
    t, z = stats.t.isf(alpha / 2, n - 1), stats.norm.isf(alpha / 2)
    reach = np.sqrt(t**2 * simulated.var(axis=1, ddof=1) / n + z**2 * image_variance)
    assert np.mean(abs(simulated.mean(axis=1)) > reach) == pytest.approx(0.8, abs=0.01)


def test_no_number_of_seeds_makes_up_for_too_few_images():
    # The images alone have a standard error of 0.2 points: with 80 % power only 0.56 points are detected.
    assert seeds_needed(0.0050, 0.004, image_variance=0.002**2) is None
    assert seeds_needed(0.0060, 0.004, image_variance=0.002**2) > seeds_needed(0.0060, 0.004)
