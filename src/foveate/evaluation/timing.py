"""The one timer: steps of several networks in turns, and the comparison of their times."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "LATE",
    "WARM_UP",
    "Latency",
    "OnRound",
    "PairedRatio",
    "Step",
    "Turns",
    "compare_latencies",
    "latency_beside",
    "median_interval",
    "milliseconds",
    "no_collection",
    "paired_ratio",
    "take_turns",
]

Step = Callable[[], object]
OnRound = Callable[[int, int], None]

WARM_UP = 3
"""Steps of each network before any is timed."""
EVENT_MS = 2.0
"""The least time in ms between a pair of device events; short steps are repeated between them."""
MOST_STEPS = 64
LATE = 2
"""Once there are enough rounds, they stop after this many times the time that was asked for."""


@dataclass(frozen=True)
class Turns:
    """Times in ms of one step, (names, rounds) in float64; each is a mean over `steps_per_time` steps.

    `cpu_share` is the share of the whole time for which a core worked for the measuring thread, 1 on a quiet
    machine; None on a GPU, where the host may wait.
    """

    names: list[str]
    milliseconds: Tensor
    steps_per_time: int
    cpu_share: float | None = None


@dataclass(frozen=True)
class Latency:
    """Latency of one network: p50 and p95 in ms, and its `PairedRatio` to another network."""

    p50: float
    p95: float
    ratio: float
    quartiles: tuple[float, float]
    interval: tuple[float, float] | None


class PairedRatio(NamedTuple):
    """The ratio of one network's figures to another's, each taken within a round.

    `ratio` is the median over the rounds, `quartiles` are the 25th and the 75th percentile, `interval` is the
    95 % interval of the median, None with fewer than 6 rounds.
    """

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
    """Time `steps` on `device` in rounds, each step once in every round, after a warm-up.

    Other load on the machine then affects all of them alike. Rounds are repeated for at most `seconds`,
    within the bounds of `rounds`. On a GPU the time is that between device events, with several short steps
    between them; elsewhere it is wall-clock time.
    """
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    once = [milliseconds(step, device) for step in steps.values()]
    many = min(max(math.ceil(EVENT_MS / min(once)), 1), MOST_STEPS) if device.type == "cuda" else 1
    repeats = int(min(max(1e3 * seconds / (many * sum(once)), rounds[0]), rounds[1]))
    times: list[list[float]] = []
    with no_collection():
        started, worked = time.perf_counter(), time.thread_time()
        for done in range(1, repeats + 1):
            times.append([milliseconds(step, device, many) for step in steps.values()])
            # On a busy machine the first steps may be fast and all later ones slow.
            late = done >= rounds[0] and time.perf_counter() - started > LATE * seconds
            if on_round is not None:
                on_round(repeats if late else done, repeats)
            if late:
                break
        share = (time.thread_time() - worked) / (time.perf_counter() - started)
    cpu_share = min(share, 1.0) if device.type == "cpu" else None
    return Turns(list(steps), torch.tensor(times, dtype=torch.float64).T, many, cpu_share)


def compare_latencies(turns: Turns) -> dict[str, Latency]:
    """Compare all networks with the first, within each round."""
    return {name: latency_beside(turns, name, turns.names[0]) for name in turns.names}


def latency_beside(turns: Turns, name: str, reference: str) -> Latency:
    """Return the latency of the network `name`, with its ratio to that of `reference` within each round."""
    times, base = (turns.milliseconds[turns.names.index(one)] for one in (name, reference))
    p50, p95 = _quantiles(times, 0.5, 0.95)
    return Latency(p50, p95, *paired_ratio(times, base))


def paired_ratio(values: Tensor, base: Tensor) -> PairedRatio:
    """Return the ratio of `values` to `base`, both (rounds,), within each round."""
    ratio = values / base
    low, middle, high = _quantiles(ratio, 0.25, 0.5, 0.75)
    return PairedRatio(middle, (low, high), median_interval(ratio))


def median_interval(sample: Tensor) -> tuple[float, float] | None:
    """Return the 95 % interval of the median: the k-th smallest and the k-th largest value of `sample`.

    k is the largest with 2 P(Binomial(n, ½) < k) ≤ 0.05: the probability that fewer than k of n values are
    below the median, or above it. This assumes no shape of the distribution, but independent values. None
    with fewer than 6 values.
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
    """Return the time of one step in ms, a mean over `many` steps."""
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
def no_collection() -> Iterator[None]:
    """Switch Python's garbage collector off while steps are timed."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
