"""Drops of deployed networks, against McNemar's test, a t-test over seeds, and an adjustment by hand."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from foveate.evaluation.deployed import judge_drops
from foveate.evaluation.within_margin import difference_over_images

IMAGES = 200


def answers(lost: slice, gained: slice = slice(0)) -> tuple[np.ndarray, np.ndarray]:
    """Two ways to run a network that is right but for the images `gained`, and loses the images `lost`."""
    before, after = np.ones(IMAGES, dtype=bool), np.ones(IMAGES, dtype=bool)
    before[gained], after[lost] = False, False
    return before, after


def test_of_one_network_it_is_a_test_over_images():
    (drop,) = judge_drops({"se": [answers(slice(0, 14), slice(20, 23))]}).values()
    table = [[IMAGES - 17, 14], [3, 0]]
    assert drop.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert drop.interval == difference_over_images(14, 3, IMAGES, level=0.95)
    assert (drop.difference, drop.lost, drop.gained) == (pytest.approx(-11 / IMAGES), 14, 3)
    assert (drop.over, drop.networks, drop.images) == ("images", 1, IMAGES)
    assert drop.is_beyond(0.05)
    assert not drop.is_beyond(0.06)


def test_over_seeds_whose_lost_images_differ_it_is_the_t_test_over_seeds():
    """No image is lost by two seeds, so images bring no variance of their own."""
    losses = [slice(0, 8), slice(10, 22), slice(30, 40)]
    (drop,) = judge_drops({"se": [answers(lost) for lost in losses]}).values()
    means = [-(lost.stop - lost.start) / IMAGES for lost in losses]
    expected = stats.ttest_1samp(means, 0)
    assert drop.p == pytest.approx(expected.pvalue)
    assert drop.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=2e-3)
    assert drop.over == "seeds and images"
    assert drop.is_significant == (expected.pvalue < 0.05)


def test_images_that_all_seeds_lose_widen_the_interval():
    losses = [slice(0, 8), slice(0, 12), slice(0, 10)]
    shared, apart = (
        judge_drops({"se": [answers(lost) for lost in chosen]})["se"]
        for chosen in (losses, [slice(0, 8), slice(10, 22), slice(30, 40)])
    )
    assert shared.difference == apart.difference
    assert shared.interval[1] - shared.interval[0] > apart.interval[1] - apart.interval[0]


def test_p_values_are_adjusted_for_the_mechanisms():
    found = judge_drops({"none": [answers(slice(0, 6))], "se": [answers(slice(0, 9))]})
    assert found["se"].p_adjusted == pytest.approx(2 * found["se"].p)
    assert found["none"].p_adjusted == pytest.approx(found["none"].p)


@pytest.mark.parametrize("networks", [1, 3])
def test_where_no_answer_changes_nothing_is_shown(networks):
    (drop,) = judge_drops({"se": [answers(slice(0))] * networks}).values()
    assert drop.difference == 0
    assert not drop.is_significant
    assert (drop.interval is None) == (networks > 1)
