import gc
import time

import pytest
import torch

from foveate.evaluation.timing import WARM_UP, Turns, compare_latencies, median_interval, take_turns


@pytest.mark.parametrize(
    ("n", "k"),
    # P(Binomial(n, ½) < k), twice: n = 6: 2/64; n = 9: 2·10/512; n = 11: 2·12/2048, 2·67/2048 is too much.
    [(6, 1), (9, 2), (11, 2), (100, 40)],
)
def test_interval_of_the_median_by_hand(n, k):
    sample = torch.arange(1.0, n + 1, dtype=torch.float64)[torch.randperm(n)]
    assert median_interval(sample) == (k, n + 1 - k)


def test_no_interval_of_few_values():
    assert median_interval(torch.arange(5.0)) is None


def test_interval_holds_the_true_median_as_often_as_it_says():
    torch.manual_seed(0)
    samples = torch.empty(2000, 15).exponential_()
    true = torch.tensor(2.0).log().item()
    intervals = [median_interval(sample) for sample in samples]
    held = sum(low <= true <= high for low, high in intervals) / 2000
    assert 0.95 <= held < 0.98  # by the binomial: 0.965


def test_ratios_are_taken_within_rounds_so_drift_does_not_matter():
    drift = torch.linspace(1, 3, 21, dtype=torch.float64)
    compared = compare_latencies(Turns(["none", "a"], torch.stack([drift, 2 * drift]), 1))
    assert compared["none"].ratio == 1
    assert compared["a"].ratio == 2
    assert compared["a"].quartiles == (2, 2)
    assert compared["a"].interval == (2, 2)
    assert compared["a"].p50 == pytest.approx(4)
    assert compared["a"].p95 == pytest.approx(5.8)


@pytest.mark.parametrize(("seconds", "rounds"), [(0, 4), (60, 7)])
def test_steps_take_turns_after_a_warm_up_within_the_bounds_of_rounds(seconds, rounds):
    log: list[str] = []
    told: list[tuple[int, int]] = []
    turns = take_turns(
        {"none": lambda: log.append("none"), "se": lambda: log.append("se")},
        torch.device("cpu"),
        seconds=seconds,
        rounds=(4, 7),
        on_round=lambda done, total: told.append((done, total)),
    )
    assert log[: 2 * WARM_UP] == ["none"] * WARM_UP + ["se"] * WARM_UP
    assert log[2 * WARM_UP :] == ["none", "se"] * (rounds + 1)
    assert turns.milliseconds.shape == (2, rounds)
    assert told[-1] == (rounds, rounds)


def test_steps_that_become_slow_do_not_go_on_for_ever():
    calls = 0
    told: list[tuple[int, int]] = []

    def step():
        nonlocal calls
        calls += 1
        time.sleep(0.0 if calls <= WARM_UP + 1 else 0.02)

    turns = take_turns(
        {"none": step},
        torch.device("cpu"),
        seconds=0.05,
        rounds=(3, 400),
        on_round=lambda done, total: told.append((done, total)),
    )
    assert 3 <= turns.milliseconds.shape[1] <= 6  # 0.1 s of 0.02 s each
    done, total = told[-1]
    assert done == total > 6  # as many rounds as the fast steps promised


def test_the_garbage_collector_waits_and_comes_back():
    seen: list[bool] = []

    def step():
        seen.append(gc.isenabled())

    take_turns({"none": step}, torch.device("cpu"), seconds=0, rounds=(3, 3))
    assert seen[-3:] == [False] * 3
    assert gc.isenabled()
