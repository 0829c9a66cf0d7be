"""Energy of several networks in turns, as `foveate.evaluation.timing` takes their times."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.evaluation.energy_counters import Counters, NoCounterError
from foveate.evaluation.timing import LATE, OnRound, PairedRatio, Step, no_collection, paired_ratio

__all__ = ["EnergyTurns", "energy_beside", "measure_energy"]

PAUSE = 0.5
"""Seconds that the machine is left alone before its idle power is measured."""
IDLE_WINDOWS = 4
"""The length of that measurement, in windows."""


@dataclass(frozen=True)
class EnergyTurns:
    """Joules of one step and mean watts, (names, rounds) in float64; each is of one window.

    `steps` is the number of steps in a window of each network; `idle_watts` is the power before the first.
    """

    names: list[str]
    joules: Tensor
    watts: Tensor
    steps: list[int]
    idle_watts: float


def measure_energy(
    steps: Mapping[str, Step],
    milliseconds: Mapping[str, float],
    counters: Counters,
    device: torch.device,
    *,
    seconds: float,
    rounds: tuple[int, int],
    on_round: OnRound | None = None,
) -> EnergyTurns:
    """Count the energy of warm `steps` on `device` in rounds, a window of each in every round.

    A window is as many steps as take `counters.seconds` by `milliseconds`, the time of one step. Rounds are
    repeated for at most `seconds`, within the bounds of `rounds`. What is counted is all that the counters
    see, other programs and idle power included.

    Raises:
        NoCounterError: a counter cannot be read, or does not move.
    """
    many = {name: max(math.ceil(1e3 * counters.seconds / milliseconds[name]), 1) for name in steps}
    once = sum(1e-3 * milliseconds[name] * count for name, count in many.items())
    repeats = int(min(max(seconds / once, rounds[0]), rounds[1]))
    time.sleep(PAUSE)
    _, idle = _window(counters, device, lambda: time.sleep(IDLE_WINDOWS * counters.seconds), 1)
    joules, watts = [], []
    with no_collection():
        started = time.perf_counter()
        for done in range(1, repeats + 1):
            windows = [_window(counters, device, step, many[name]) for name, step in steps.items()]
            joules.append([energy for energy, _ in windows])
            watts.append([power for _, power in windows])
            late = done >= rounds[0] and time.perf_counter() - started > LATE * seconds
            if on_round is not None:
                on_round(repeats if late else done, repeats)
            if late:
                break
    return EnergyTurns(list(steps), _by_name(joules), _by_name(watts), list(many.values()), idle)


def energy_beside(turns: EnergyTurns, name: str, reference: str) -> PairedRatio:
    """Return the ratio of the energy of the network `name` to that of `reference`, within each round."""
    of, base = (turns.joules[turns.names.index(one)] for one in (name, reference))
    return paired_ratio(of, base)


def _window(counters: Counters, device: torch.device, step: Step, many: int) -> tuple[float, float]:
    """Return the joules of one of `many` steps, and the mean watts."""
    _wait(device)
    before, started = counters.read(), time.perf_counter()
    for _ in range(many):
        step()
    _wait(device)
    after, took = counters.read(), time.perf_counter() - started
    joules = counters.between(before, after)
    if joules <= 0:
        raise NoCounterError(f"the energy counter ({counters.name}) did not move within {took:.1f} s")
    return joules / many, joules / took


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _by_name(rounds: list[list[float]]) -> Tensor:
    return torch.tensor(rounds, dtype=torch.float64).T
