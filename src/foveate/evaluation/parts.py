"""Where the time of a module goes: its direct children, timed by hooks and summed over many modules."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

import torch
from torch import nn

__all__ = ["THE_REST", "WHOLE", "time_parts"]

WHOLE = "in total"
THE_REST = "the rest"
"""What a module does in its own forward, outside of its children."""


def time_parts(
    step: Callable[[], object],
    modules: Sequence[nn.Module],
    device: torch.device,
    *,
    seconds: float,
    rounds: tuple[int, int],
) -> dict[str, float]:
    """Time in ms of one step that the direct children of `modules` take, by their names, in order of call.

    Each is summed over the modules and over its calls, and is the median over the steps, which are repeated
    for `seconds` at the most within the bounds of `rounds`; WHOLE is that of the modules themselves, THE_REST
    is what is left of it. Members of a list of modules count under the list's name. The hooks take time too,
    some microseconds a call, which is in the figures. On a GPU times are those between device events.
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
    return {**parts, THE_REST: max(whole - sum(parts.values()), 0.0), WHOLE: whole}


def _children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((name, member) for member in child)
        else:
            yield name, child


class _Clock:
    """Takes the times of one step; `read` gives their sums by name and forgets them."""

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
