"""The one timer: steps of several networks that take turns, and what their times say of each other."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "WARM_UP",
    "Latency",
    "OnRound",
    "Step",
    "Turns",
    "compare_latencies",
    "median_interval",
    "milliseconds",
    "take_turns",
]

Step = Callable[[], object]
OnRound = Callable[[int, int], None]

WARM_UP = 3
"""Steps of each before any is timed."""
EVENT_MS = 2.0
"""Between a pair of device events there are steps for so long at least, in ms."""
MOST_STEPS = 64
LATE = 2
"""How many times as long as was asked for the rounds may go on, once there are as many as there must be."""


@dataclass(frozen=True)
class Turns:
    """Times in ms of one step, (names, rounds) in float64; each is a mean over `steps_per_time` steps.

    `cpu_share` is the share of all that time for which a core worked for the thread that measured, 1 on a
    quiet machine; None on a GPU, whose host may wait.
    """

    names: list[str]
    milliseconds: Tensor
    steps_per_time: int
    cpu_share: float | None = None


@dataclass(frozen=True)
class Latency:
    """Of one network: p50 and p95 in ms, and its ratio to the first one, taken within each round.

    `ratio` is the median over the rounds, `quartiles` the 25th and 75th percentile, `interval` the 95 %
    interval of the median, None with fewer than 6 rounds.
    """

    p50: float
    p95: float
    ratio: float
    quartiles: tuple[float, float]
    interval: tuple[float, float] | None


def take_turns(
    steps: Mapping[str, Step],
    device: torch.device,
    *,
    seconds: float,
    rounds: tuple[int, int],
    on_round: OnRound | None = None,
) -> Turns:
    """Time `steps` on `device` in rounds, one after the other in each, after a warm-up.

    So whatever the machine does besides falls on all of them alike. Rounds are repeated for `seconds` at the
    most, within the bounds of `rounds`. On a GPU the time is that between device events, with several steps
    between them where one is short; elsewhere it is that of the wall clock.
    """
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    once = [milliseconds(step, device) for step in steps.values()]
    many = min(max(math.ceil(EVENT_MS / min(once)), 1), MOST_STEPS) if device.type == "cuda" else 1
    repeats = int(min(max(1e3 * seconds / (many * sum(once)), rounds[0]), rounds[1]))
    times: list[list[float]] = []
    with _no_collection():
        started, worked = time.perf_counter(), time.thread_time()
        for done in range(1, repeats + 1):
            times.append([milliseconds(step, device, many) for step in steps.values()])
            # On a busy machine the first steps may have been fast, and none after them.
            late = done >= rounds[0] and time.perf_counter() - started > LATE * seconds
            if on_round is not None:
                on_round(repeats if late else done, repeats)
            if late:
                break
        share = (time.thread_time() - worked) / (time.perf_counter() - started)
    cpu_share = min(share, 1.0) if device.type == "cpu" else None
    return Turns(list(steps), torch.tensor(times, dtype=torch.float64).T, many, cpu_share)


def compare_latencies(turns: Turns) -> dict[str, Latency]:
    """Compare all with the first, within each round."""
    ratios = turns.milliseconds / turns.milliseconds[:1]
    compared = {}
    for name, times, ratio in zip(turns.names, turns.milliseconds, ratios, strict=True):
        p50, p95 = _quantiles(times, 0.5, 0.95)
        low, middle, high = _quantiles(ratio, 0.25, 0.5, 0.75)
        compared[name] = Latency(p50, p95, middle, (low, high), median_interval(ratio))
    return compared


def median_interval(sample: Tensor) -> tuple[float, float] | None:
    """Return the 95 % interval of the median: the k-th smallest and the k-th largest value of `sample`.

    k is the largest for which fewer than k of n values fall below the median, or above it, with at most 5 %
    chance: 2 P(Binomial(n, ½) < k) ≤ 0.05. This asks nothing of the distribution's shape; the values are
    taken as independent. None with fewer than 6 values.
    """
    n, k, tail = len(sample), 0, 0.0
    while (tail := tail + 2 * math.comb(n, k) / 2**n) <= 0.05:
        k += 1
    if k == 0:
        return None
    ordered = sample.sort().values
    return ordered[k - 1].item(), ordered[n - k].item()


def _quantiles(sample: Tensor, *at: float) -> list[float]:
    return sample.quantile(torch.tensor(at, dtype=sample.dtype)).tolist()


def milliseconds(step: Step, device: torch.device, many: int = 1) -> float:
    """Time of one step in ms, taken over `many`."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(many):
            step()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / many
    started = time.perf_counter()
    for _ in range(many):
        step()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return (time.perf_counter() - started) * 1e3 / many


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the times."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
