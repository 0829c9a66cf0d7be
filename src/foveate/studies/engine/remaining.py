"""How long a study still takes, from the steps that its runs have made so far."""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from foveate.studies.engine.watch import WaitingRun

__all__ = ["RemainingTime", "seconds_together"]

SOON = 0.02
"""A run tells a time for an epoch after this share of one."""


@dataclass
class _Running:
    """A run that is under way: where it was first seen and where it is, in epochs, by the clock."""

    candidate: str
    epochs: int
    began: float
    first: float
    now: float
    at: float


class RemainingTime:
    """Estimates the seconds that the runs of a study still take.

    The time of an epoch is measured for each candidate on its own runs, from step to step; a candidate that
    has not begun is taken for the mean of the others. The time between two runs, and from the last step of a
    run to its end (the last validation, and the test), is added once one run has ended. If runs end early, so
    is assumed of the waiting ones. Runs are dealt out to the jobs as they become free.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # steps of worker processes are reported by a thread
        self._jobs = 1
        self._waiting: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._ended: set[str] = set()
        self._measured: dict[str, tuple[float, float]] = {}  # seconds and epochs of ended runs
        self._lengths: list[float] = []
        self._tails: list[float] = []
        self._gaps: list[float] = []
        self._free: deque[float] = deque()

    def plan(self, waiting: Sequence[WaitingRun], jobs: int) -> None:
        """Take note of the runs to carry out, in their order, `jobs` at a time."""
        with self._lock:
            self._jobs = jobs
            self._waiting = {run.title: run.candidate for run in waiting}

    def step(self, title: str, position: float, epochs: int) -> None:
        """Take note that a run is at `position`, in epochs, of `epochs`; not of a run that has ended."""
        with self._lock:
            now = self._clock()
            if title in self._ended:
                return
            if title not in self._running:
                candidate = self._leave(title)
                self._running[title] = _Running(candidate, epochs, now, position, position, now)
                if self._free:
                    self._gaps.append(now - self._free.popleft())
            run = self._running[title]
            run.now, run.at = position, now

    def _leave(self, title: str) -> str:
        """Take a run from the waiting ones, and return its candidate; one of unknown title is the first."""
        if title not in self._waiting:
            title = next(iter(self._waiting), title)
        return self._waiting.pop(title, "")

    def end(self, title: str, *, failed: bool = False) -> None:
        """Take note that a run has ended; one that failed does not tell how long a run takes."""
        with self._lock:
            now = self._clock()
            self._ended.add(title)
            self._free.append(now)
            run = self._running.pop(title, None)
            if run is None:
                self._leave(title)
            elif run.now > run.first and not failed:
                seconds, epochs = self._measured.get(run.candidate, (0.0, 0.0))
                more = run.at - run.began, run.now - run.first
                self._measured[run.candidate] = seconds + more[0], epochs + more[1]
                self._lengths.append(run.now)
                self._tails.append(now - run.at)

    def has_ended(self, title: str) -> bool:
        """Return whether the run has ended: a step may be reported after that."""
        return title in self._ended

    def seconds(self) -> float | None:
        """Return the seconds until the last run ends, or None before a step was measured."""
        with self._lock:
            rates = self._rates()
            if not rates:
                return None
            now, usual = self._clock(), fmean(rates.values())
            tail = fmean(self._tails) if self._tails else 0.0
            gap = fmean(self._gaps) if self._gaps else 0.0
            begun = [
                max((run.epochs - run.now) * rates.get(run.candidate, usual) + tail - (now - run.at), 0.0)
                for run in self._running.values()
            ]
            epochs = (
                fmean(self._lengths) if self._lengths else max(run.epochs for run in self._running.values())
            )
            waiting = [gap + epochs * rates.get(one, usual) + tail for one in self._waiting.values()]
            return seconds_together(waiting, self._jobs, begun)

    def _rates(self) -> dict[str, float]:
        """Return the seconds of an epoch of each candidate of which some was measured."""
        sums = dict(self._measured)
        for run in self._running.values():
            if run.now - run.first >= SOON:
                seconds, epochs = sums.get(run.candidate, (0.0, 0.0))
                sums[run.candidate] = seconds + run.at - run.began, epochs + run.now - run.first
        return {candidate: seconds / epochs for candidate, (seconds, epochs) in sums.items()}


def seconds_together(runs: Iterable[float], jobs: int, begun: Sequence[float] = ()) -> float:
    """Return the seconds that all `runs` take, `jobs` at a time, after those that `begun` still take."""
    free = [*begun, *[0.0] * (jobs - len(begun))]
    heapq.heapify(free)
    for seconds in runs:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
