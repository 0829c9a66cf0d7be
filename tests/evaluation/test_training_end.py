"""The end of a training, and the test of whether a gain still moves there."""

import numpy as np
import pytest
from scipy import stats

from foveate.evaluation.training_end import Movement, length_of_end, measure_pace

LENGTHS = {1: 1, 2: 2, 3: 3, 4: 3, 6: 3, 7: 4, 9: 5, 10: 5, 25: 5, 26: 6, 100: 20}


@pytest.mark.parametrize(("epochs", "length"), LENGTHS.items())
def test_the_end_is_the_last_fifth_and_of_few_epochs_the_second_half(epochs, length):
    assert length_of_end(epochs) == length


def test_the_slope_is_the_mean_of_the_lines_of_the_seeds_and_p_is_students():
    gains = np.random.default_rng(1).normal(0, 0.01, (4, 30)) + 0.002 * np.arange(30)
    epochs = range(1, 31)
    slopes = [np.polyfit(epochs[-6:], gain[-6:], 1)[0] for gain in gains]
    found = measure_pace(gains, epochs, 0.01)
    assert found.first == 25
    assert found.slope == pytest.approx(np.mean(slopes))
    alternative = "greater" if np.mean(slopes) > 0 else "less"
    assert found.p == pytest.approx(stats.ttest_1samp(slopes, 0, alternative=alternative).pvalue)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_each_direction_is_a_false_alarm_in_one_of_twenty_though_epochs_depend_on_each_other(seeds):
    rng = np.random.default_rng(seeds)
    studies = 1500
    noise = rng.standard_normal((studies, seeds, 12))
    for epoch in range(1, 12):
        noise[..., epoch] += 0.7 * noise[..., epoch - 1]
    found = [measure_pace(of_study, range(1, 13), 0.0).movement for of_study in noise]
    for movement in (Movement.RISING, Movement.FALLING):
        assert 0.03 < found.count(movement) / studies < 0.07  # the error is 0.0056


def test_a_movement_counts_if_it_is_sure_and_would_change_the_gain():
    wobble = np.array([[0.0, 0.001, -0.001], [0.001, 0.0, 0.0], [0.0, -0.001, 0.001]])
    rising = wobble + 0.02 * np.arange(3)
    epochs = (1, 2, 3)
    assert measure_pace(rising, epochs, -0.1).movement is Movement.RISING
    assert measure_pace(-rising, epochs, -0.1).movement is Movement.FALLING
    # Three epochs again change it by 0.06, which is under a half of this.
    assert measure_pace(rising, epochs, -0.13).movement is Movement.NOT_SHOWN
    assert measure_pace(wobble, epochs, 0.0).movement is Movement.NOT_SHOWN


def test_without_a_spread_there_is_no_test():
    flat = np.full((3, 4), 0.02)
    assert measure_pace(flat, range(1, 5), 0.02).movement is Movement.NOT_SHOWN
    equal = np.tile(0.02 * np.arange(4), (3, 1))
    found = measure_pace(equal, range(1, 5), 0.06)
    assert (found.slope, found.p, found.movement) == (pytest.approx(0.02), None, Movement.UNTESTED)
    assert measure_pace(equal[:1], range(1, 5), 0.06).movement is Movement.UNTESTED


def test_a_slope_of_rounding_alone_is_none():
    gains = 0.02 + 1e-8 * np.random.default_rng(0).standard_normal((3, 6))
    found = measure_pace(gains, range(1, 7), 0.0, rounding=1e-6)
    assert (found.slope, found.p, found.movement) == (0.0, None, Movement.NOT_SHOWN)
