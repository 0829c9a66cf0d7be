"""The band over several points: its values by hand, and how often it holds everywhere at once."""

import numpy as np
import pytest
from scipy import stats

from foveate.evaluation.band import MOST_POINTS, critical_value, simultaneous_band, smoothed_variances
from foveate.evaluation.intervals import SHARE

STUDIES = 4000


def curves(rng: np.random.Generator, seeds: int, points: int, correlation: float) -> np.ndarray:
    """Curves around zero, (studies, seeds, points): an autoregressive part, and a part of the seed."""
    noise = rng.standard_normal((STUDIES, seeds, points))
    for point in range(1, points):
        before = correlation * noise[..., point - 1]
        noise[..., point] = before + np.sqrt(1 - correlation**2) * noise[..., point]
    return noise + rng.standard_normal((STUDIES, seeds, 1))


@pytest.mark.parametrize("seeds", [2, 3, 5, 25])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_band_holds_at_all_points_at_once_and_students_interval_does_not(seeds, correlation):
    drawn = curves(np.random.default_rng([seeds, int(10 * correlation)]), seeds, MOST_POINTS, correlation)
    # The larger variance, written out: a point has one neighbour or two.
    own = drawn.var(axis=1, ddof=1)
    near = [own[:, max(point - 1, 0) : point + 2].mean(axis=1) for point in range(MOST_POINTS)]
    errors = np.sqrt(np.maximum(own, np.stack(near, axis=1)) / seeds)
    largest = (np.abs(drawn.mean(axis=1)) / errors).max(axis=1)
    assert np.mean(largest <= critical_value(seeds, MOST_POINTS)) >= 0.945  # its error is 0.0034
    single = (np.abs(drawn.mean(axis=1)) / np.sqrt(own / seeds)).max(axis=1)
    assert np.mean(single <= stats.t.isf(0.025, seeds - 1)) < 0.87


def test_the_critical_value_lies_between_students_and_bonferronis():
    assert critical_value(3, 1) == pytest.approx(4.303, abs=5e-4)  # any table of Student's t
    assert critical_value(2, 1) == pytest.approx(12.706, abs=5e-4)
    for seeds in (2, 3, 4, 5, 9, 10, 30, 400):
        values = [critical_value(seeds, points) for points in range(1, MOST_POINTS + 1)]
        bonferroni = [stats.t.isf(0.025 / points, seeds - 1) for points in range(1, MOST_POINTS + 1)]
        student = stats.t.isf(0.025, seeds - 1)
        assert values[0] == pytest.approx(student)
        assert all(value >= student for value in values)
        assert values == sorted(values)
        if seeds <= 10:
            assert all(value < bound for value, bound in zip(values[2:], bonferroni[2:], strict=True))
    assert critical_value(9, 10) == critical_value(8, 10) > critical_value(10, 10)
    assert critical_value(400, 10) == critical_value(30, 10)


@pytest.mark.parametrize(("seeds", "points"), [(1, 3), (0, 1), (3, 0), (3, 11)])
def test_there_is_no_critical_value_of_one_curve_or_of_too_many_points(seeds, points):
    with pytest.raises(ValueError, match=f"got {seeds} and {points}"):
        critical_value(seeds, points)


def test_a_variance_is_never_under_its_own_nor_under_the_mean_of_its_neighbourhood():
    assert smoothed_variances([9.0, 0.0, 3.0, 3.0]) == pytest.approx([9, 4, 3, 3])
    assert smoothed_variances([[1.0, 3.0]]) == pytest.approx(np.array([[2.0, 3.0]]))
    assert smoothed_variances([5.0]) == pytest.approx([5])


def test_the_band_is_the_mean_and_the_critical_value_times_its_error():
    low, high = simultaneous_band([1.0, 2.0], [0.3, 0.1], 4)
    factor = critical_value(4, 2) / 2
    assert low == pytest.approx((1 - factor * 0.3, 1 + factor * 0.3))
    error = np.sqrt((0.09 + 0.01) / 2)
    assert high == pytest.approx((2 - factor * error, 2 + factor * error))


def test_the_band_stays_within_bounds_and_is_not_there_without_a_spread():
    first, second = simultaneous_band([0.9, 0.9], [0.05, 0.05], 2, SHARE.of_differences)
    assert first == second
    assert first is not None
    assert -1 <= first[0] < 0.9 < first[1] <= 1
    assert simultaneous_band([0.5, 0.5], [0.0, 0.0], 3) == [None, None]
