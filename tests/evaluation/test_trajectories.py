"""The gain by epoch on known curves: where it stays, where it goes, and what few runs cannot say."""

import json

import numpy as np
import pytest

from foveate.evaluation.band import critical_value
from foveate.evaluation.intervals import SHARE, Bounds
from foveate.evaluation.significance import Outcome
from foveate.evaluation.training_end import Movement
from foveate.evaluation.trajectories import Course, Trajectory, trajectory

RNG_SEED = 5


def follow(gain: np.ndarray, *, seeds: int = 3, noise: float = 0.002, **how: object) -> Trajectory:
    """The trajectory of a candidate that has `gain` over a baseline of 0.7 at each epoch, and noise."""
    rng = np.random.default_rng(RNG_SEED)
    baseline = 0.7 + rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, noise, (seeds, len(gain)))
    candidate = baseline + gain + rng.normal(0, noise, (seeds, len(gain)))
    how = {"bounds": SHARE} | how
    return trajectory(baseline, candidate, range(1, len(gain) + 1), **how)  # type: ignore[arg-type]


def test_few_epochs_are_stretches_and_many_are_averaged():
    assert [(one.first, one.last) for one in follow(np.zeros(6)).stretches] == [(n, n) for n in range(1, 7)]
    many = follow(np.zeros(100))
    assert [(one.first, one.last) for one in many.stretches] == [(n + 1, n + 10) for n in range(0, 100, 10)]
    uneven = [one.last - one.first + 1 for one in follow(np.zeros(13)).stretches]
    assert uneven == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    for part in many.stretches:
        assert part.gain == pytest.approx(np.mean(many.gains[part.first - 1 : part.last]))


def test_the_band_is_that_of_the_means_over_stretches():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (2, 4, 2))
    found = trajectory(a, b, [1, 2])
    means, stds = (b - a).mean(axis=0), (b - a).std(axis=0, ddof=1)
    spreads = np.maximum(stds, np.sqrt((stds**2).mean()))
    half = critical_value(4, 2) * spreads / 2
    for part, mean, std, reach in zip(found.stretches, means, stds, half, strict=True):
        assert part.gain == pytest.approx(mean)
        assert part.standard_error == pytest.approx(std / 2)
        assert part.band == pytest.approx((mean - reach, mean + reach))


def test_ahead_from_the_epoch_from_which_the_whole_band_stays_above():
    gain = np.where(np.arange(50) < 20, -0.05, 0.05)
    found = follow(gain)
    assert (found.from_epoch, found.mean_from_epoch) == (21, 21)
    assert (found.outcome, found.course) == (Outcome.BETTER, Course.AHEAD)
    assert follow(-gain).from_epoch == 21
    assert (follow(-gain).outcome, follow(-gain).course) == (Outcome.WORSE, Course.BEHIND)


def test_where_the_band_holds_zero_at_the_end_only_the_mean_has_a_side():
    gain = np.where(np.arange(50) < 20, -0.05, 0.05) * np.ones((3, 1))
    gain[:, 40:] = np.array([[-0.02], [0.01], [0.04]])
    gain += np.random.default_rng(RNG_SEED).normal(0, 0.001, gain.shape)
    found = trajectory(np.full(gain.shape, 0.7), 0.7 + gain, range(1, 51), bounds=SHARE)
    assert found.from_epoch is None
    assert found.mean_from_epoch == 21
    assert (found.outcome, found.course) == (Outcome.NOT_SIGNIFICANT, Course.NOT_SHOWN)


def test_a_lower_value_that_is_better_is_a_gain():
    gain = np.where(np.arange(20) < 10, 0.05, -0.05)
    as_loss = follow(gain, sign=-1, bounds=Bounds(low=0))
    as_score = follow(-gain)
    assert as_loss.outcome is Outcome.BETTER
    assert as_loss.from_epoch == as_score.from_epoch == 11
    assert as_loss.gains[-1] == pytest.approx(0.05, abs=0.01)


def test_worse_is_told_apart_from_worse_so_far_and_catching_up():
    steps = np.arange(20)
    catching_up = follow(-0.3 + 0.012 * steps)
    assert (catching_up.outcome, catching_up.course) == (Outcome.WORSE, Course.CATCHING_UP)
    assert catching_up.pace is not None
    assert catching_up.pace.slope == pytest.approx(0.012, abs=0.003)
    assert follow(-0.072 + 0 * steps).course is Course.BEHIND
    assert follow(-0.05 - 0.012 * steps).course is Course.LOSING
    assert follow(0.3 - 0.012 * steps).course is Course.FALLING_BACK
    assert follow(0.05 + 0.012 * steps).course is Course.GAINING


def test_one_seed_has_gains_without_band_and_test():
    found = follow(np.full(6, 0.05), seeds=1)
    assert (found.seeds, found.from_epoch, found.mean_from_epoch) == (1, None, 1)
    assert {part.band for part in found.stretches} == {None}
    assert set(found.standard_errors) == {None}
    assert (found.outcome, found.course) == (Outcome.UNTESTED, Course.UNTESTED)


def test_one_epoch_has_a_band_and_no_pace():
    found = follow(np.full(1, 0.05))
    assert found.pace is None
    assert (found.movement, found.course) == (Movement.UNTESTED, Course.AHEAD)


@pytest.mark.parametrize("level", [0.0, 0.05])
@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_equal_curves_have_no_band_and_no_movement(level, epochs):
    a = np.full((3, epochs), 0.9)
    found = trajectory(a, a + level, range(1, epochs + 1), bounds=SHARE)
    assert found.end.band is None
    assert (found.from_epoch, found.course) == (None, Course.UNTESTED)
    assert found.mean_from_epoch == (1 if level else None)
    json.dumps(found.to_json(), allow_nan=False)


def test_runs_that_were_cut_are_known():
    assert follow(np.zeros(4), longest=9).is_cut
    assert not follow(np.zeros(4)).is_cut


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (2, 3)])
def test_values_that_do_not_match_are_refused(shape):
    with pytest.raises(ValueError, match="at least one seed and epoch"):
        trajectory(np.zeros(shape), np.zeros(shape), [1, 2])


def test_the_band_holds_everywhere_in_nineteen_of_twenty_studies_of_three_seeds():
    rng = np.random.default_rng(8)
    truth = -0.1 * np.exp(-np.arange(20) / 4) + 0.01
    held = 0
    for _ in range(200):
        noise = rng.normal(0, 0.01, (2, 3, 20)) * np.linspace(2, 0.2, 20)
        a, b = 0.8 + noise + rng.normal(0, 0.005, (2, 3, 1))
        found = trajectory(a, b + truth, range(1, 21), bounds=SHARE)
        parts = zip(found.stretches, truth.reshape(10, 2).mean(axis=1), strict=True)
        held += all(part.band and part.band[0] <= true <= part.band[1] for part, true in parts)
    assert held / 200 >= 0.93  # the error is 0.015
