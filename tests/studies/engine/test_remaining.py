"""The remaining time of a study, on a clock that the test sets."""

import pytest

from foveate.studies.engine.remaining import RemainingTime, seconds_together
from foveate.studies.engine.watch import WaitingRun

RUNS = [WaitingRun(f"{label}, seed {seed}", label) for seed in range(2) for label in ("none", "se")]


class Study:
    """A study under an estimate: its runs step, and time passes."""

    def __init__(self, jobs: int = 1, runs: list[WaitingRun] = RUNS) -> None:
        self.now = 0.0
        self.estimate = RemainingTime(lambda: self.now)
        self.estimate.plan(runs, jobs)

    def step(self, run: str, position: float, *, after: float = 0.0) -> None:
        self.now += after
        self.estimate.step(run, position, 10)

    @property
    def left(self) -> float | None:
        return self.estimate.seconds()


def test_within_the_first_epoch_the_whole_study_has_an_estimate() -> None:
    study = Study()
    assert study.left is None
    study.step("none, seed 0", 0.1)
    assert study.left is None
    study.step("none, seed 0", 0.6, after=1)  # 2 s an epoch
    assert study.left == pytest.approx(2 * 9.4 + 3 * 20)
    study.now += 0.5  # until the next step, it counts down
    assert study.left == pytest.approx(2 * 9.4 + 3 * 20 - 0.5)


def test_each_candidate_has_its_own_time_and_the_time_between_runs_counts() -> None:
    study = Study()
    study.step("none, seed 0", 0)
    study.step("none, seed 0", 10, after=10)  # 1 s an epoch
    study.now += 3  # the last validation and the test
    study.estimate.end("none, seed 0")
    assert study.left == pytest.approx(3 * (10 + 3))
    study.step("se, seed 0", 0, after=2)  # until the next run begins
    study.step("se, seed 0", 5, after=20)  # 4 s an epoch
    assert study.left == pytest.approx((5 * 4 + 3) + (2 + 10 + 3) + (2 + 40 + 3))


def test_jobs_share_the_runs() -> None:
    study = Study(jobs=2)
    for run in ("none, seed 0", "se, seed 0"):
        study.step(run, 0)
    study.now += 5
    for run in ("none, seed 0", "se, seed 0"):
        study.step(run, 5)
    assert study.left == pytest.approx(5 + 10)  # both end in 5 s, and then the other two take 10 s


def test_runs_that_end_early_make_the_others_shorter_and_failed_ones_do_not() -> None:
    study = Study()
    study.step("none, seed 0", 0)
    study.step("none, seed 0", 4, after=4)
    study.estimate.end("none, seed 0")  # after 4 of 10 epochs
    assert study.left == pytest.approx(3 * 4)
    study.step("se, seed 0", 0)
    study.step("se, seed 0", 1, after=1)
    study.estimate.end("se, seed 0", failed=True)
    assert study.left == pytest.approx(2 * 4)


def test_a_late_step_does_not_bring_a_run_back() -> None:
    study = Study()
    study.step("none, seed 0", 0)
    study.step("none, seed 0", 10, after=10)
    study.estimate.end("none, seed 0")
    before = study.left
    study.step("none, seed 0", 10)
    assert study.left == before
    assert study.estimate.has_ended("none, seed 0")


def test_runs_of_unknown_titles_take_the_place_of_waiting_ones() -> None:
    study = Study(runs=[WaitingRun("trial 0", "se"), WaitingRun("trial 1", "se")])
    study.step("se(reduction=4), trial 7", 0)
    study.step("se(reduction=4), trial 7", 5, after=5)
    assert study.left == pytest.approx(5 + 10)
    study.estimate.end("se(reduction=4), trial 7")
    study.estimate.end("se(reduction=8), trial 8")  # one that was known
    assert study.left == 0


def test_a_finished_study_has_nothing_left() -> None:
    study = Study(runs=RUNS[:1])
    study.step("none, seed 0", 0)
    study.step("none, seed 0", 10, after=10)
    study.estimate.end("none, seed 0")
    assert study.left == 0


def test_runs_are_dealt_out_to_the_job_that_is_free_first() -> None:
    assert seconds_together([4, 3, 2, 1], 1) == 10
    assert seconds_together([4, 3, 2, 1], 2) == 5
    assert seconds_together([4], 2, begun=[3, 1]) == 5
    assert seconds_together([], 2) == 0
