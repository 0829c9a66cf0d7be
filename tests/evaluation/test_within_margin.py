"""Equivalence within a margin, against statsmodels over seeds and a likelihood maximised over images."""

import math

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.weightstats import ttost_paired

from foveate.evaluation.within_margin import (
    difference_over_images,
    equivalent_over_images,
    equivalent_within,
)

MARGIN = 0.005


@pytest.mark.parametrize("differences", [(0.001, -0.002, 0.0), (0.004, 0.003, 0.0042, 0.001), (0.02, 0.01)])
def test_over_seeds_it_is_two_one_sided_t_tests(differences):
    found = equivalent_within(differences, MARGIN)
    expected, _, _ = ttost_paired(np.array(differences), np.zeros(len(differences)), -MARGIN, MARGIN)
    assert found.p == pytest.approx(expected)
    low, high = stats.t.interval(0.9, len(differences) - 1, np.mean(differences), stats.sem(differences))
    assert found.interval == pytest.approx((low, high))
    assert (found.p < 0.05) == (low > -MARGIN and high < MARGIN)


def test_without_a_spread_the_resolution_takes_its_place():
    assert equivalent_within([0.0, 0.0, 0.0], MARGIN).p is None
    assert equivalent_within([], MARGIN).difference is None
    assert equivalent_within([0.0], MARGIN, resolution=0.01).p is None
    one_image = 1 / 500
    none_changed = equivalent_within([0.0, 0.0, 0.0], MARGIN, resolution=one_image)
    one_changed = equivalent_within([0.0, 0.0, one_image], MARGIN, resolution=one_image)
    assert one_changed.p == equivalent_within([0.0, 0.0, one_image], MARGIN).p
    assert none_changed.p < one_changed.p


def score_by_likelihood(lost: int, gained: int, images: int, assumed: float) -> float:
    """The score statistic with the chance of a lost image that is likeliest under the assumed difference."""

    def minus_likelihood(q: float) -> float:
        chances = (q + assumed, q, 1 - 2 * q - assumed)
        counts = (gained, lost, images - lost - gained)
        return -sum(n * math.log(max(p, 1e-300)) for n, p in zip(counts, chances, strict=True) if n)

    bounds = max(0.0, -assumed), (1 - assumed) / 2
    q = optimize.minimize_scalar(
        minus_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    return (gained - lost - images * assumed) / math.sqrt(images * (2 * q + assumed - assumed**2))


@pytest.mark.parametrize(("lost", "gained", "images"), [(3, 1, 1000), (0, 4, 60), (20, 25, 800), (5, 0, 200)])
def test_over_images_it_is_the_score_test(lost, gained, images):
    found = equivalent_over_images(lost, gained, images, MARGIN)
    below = stats.norm.sf(score_by_likelihood(lost, gained, images, -MARGIN))
    above = stats.norm.cdf(score_by_likelihood(lost, gained, images, MARGIN))
    assert found.p == pytest.approx(max(below, above), abs=1e-5)
    z = stats.norm.isf(0.05)
    for end, expected in zip(found.interval, (z, -z), strict=True):
        assert score_by_likelihood(lost, gained, images, end) == pytest.approx(expected, abs=1e-3)
    assert found.difference == pytest.approx((gained - lost) / images)


@pytest.mark.parametrize(("lost", "gained", "images"), [(3, 1, 1000), (0, 4, 60), (0, 0, 143)])
def test_the_interval_holds_what_the_score_test_does_not_reject(lost, gained, images):
    z = stats.norm.isf(0.025)
    for end, expected in zip(difference_over_images(lost, gained, images), (z, -z), strict=True):
        assert score_by_likelihood(lost, gained, images, end) == pytest.approx(expected, abs=1e-3)


def test_no_changed_answer_is_no_proof_on_few_images():
    z2 = stats.norm.isf(0.05) ** 2
    for images in (100, 360, 1000):
        found = equivalent_over_images(0, 0, images, MARGIN)
        assert found.interval == pytest.approx((-z2 / (images + z2), z2 / (images + z2)))
        assert (found.p < 0.05) == (images == 1000)


def test_when_all_answers_change_the_interval_ends_at_1():
    low, high = equivalent_over_images(50, 0, 50, MARGIN).interval
    assert low == -1.0 < high < -0.8
    low, high = equivalent_over_images(0, 50, 50, MARGIN).interval
    assert high == 1.0 > low > 0.8


def test_interval_over_images_has_the_level_that_is_asked_for():
    z = stats.norm.isf(0.025)
    for end, expected in zip(difference_over_images(12, 5, 359, level=0.95), (z, -z), strict=True):
        assert score_by_likelihood(12, 5, 359, end) == pytest.approx(expected, abs=1e-3)
