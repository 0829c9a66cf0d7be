"""The time of a module's direct children, measured by hooks and summed over many modules."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

__all__ = ["PartTimes", "time_parts"]

WHOLE = "in total"


@dataclass(frozen=True)
class PartTimes:
    """Times in ms of one step: of each part by its name in order of call, and of the modules as a whole.

    `rest` is the time of the modules' own forward, outside of their children.
    """

    parts: dict[str, float]
    rest: float
    whole: float

    def as_record(self) -> dict[str, float]:
        """Return all times in one mapping, as a profile's record has them."""
        return {**self.parts, "the rest": self.rest, WHOLE: self.whole}


def time_parts(
    step: Callable[[], object],
    modules: Sequence[nn.Module],
    device: torch.device,
    *,
    seconds: float,
    rounds: tuple[int, int],
) -> PartTimes:
    """Measure the time of one step that the direct children of `modules` take.

    Each time is a sum over the modules and over the calls, and the median over the steps, which are repeated
    for at most `seconds` within the bounds of `rounds`. Members of a list of modules count under the list's
    name. The figures include the time of the hooks, a few microseconds a call. On a GPU the times are those
    between device events.
    """
    clock = _Clock(device)
    hooks = [
        hook
        for module in modules
        for name, part in [(WHOLE, module), *_children(module)]
        for hook in (
            part.register_forward_pre_hook(clock.starter(name)),
            part.register_forward_hook(clock.stopper(name), always_call=True),
        )
    ]
    try:
        step()
        clock.read()
        ended = time.perf_counter() + seconds
        taken: list[dict[str, float]] = []
        while len(taken) < rounds[0] or (len(taken) < rounds[1] and time.perf_counter() < ended):
            step()
            taken.append(clock.read())
    finally:
        for hook in hooks:
            hook.remove()
    parts = {name: median(times[name] for times in taken) for name in taken[0] if name != WHOLE}
    whole = median(times[WHOLE] for times in taken)
    return PartTimes(parts, max(whole - sum(parts.values()), 0.0), whole)


def _children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((name, member) for member in child)
        else:
            yield name, child


class _Clock:
    """Collects the times of one step; `read` returns their sums by name and starts anew."""

    def __init__(self, device: torch.device):
        self.device = device
        self.started: dict[str, list[Any]] = defaultdict(list)
        self.spans: list[tuple[str, Any, Any]] = []

    def starter(self, name: str) -> Callable[..., None]:
        return lambda *_: self.started[name].append(self._now())

    def stopper(self, name: str) -> Callable[..., None]:
        return lambda *_: self.spans.append((name, self.started[name].pop(), self._now()))

    def read(self) -> dict[str, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        sums: dict[str, float] = {}
        for name, start, end in self.spans:
            sums[name] = sums.get(name, 0.0) + self._between(start, end)
        self.spans.clear()
        return sums

    def _now(self) -> Any:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            return event
        if self.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter()

    def _between(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end)) if self.device.type == "cuda" else 1e3 * (end - start)
