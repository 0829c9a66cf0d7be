"""Fourth step: measure the time of each operator beside the bytes that it must move."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from foveate.errors import RequestError
from foveate.evaluation.element_wise import bytes_moved
from foveate.evaluation.roofline import measure_bounds
from foveate.models import attached, set_path
from foveate.profiling.networks import make_ready
from gpu_steps.settings import Settings
from gpu_steps.units import Unit
from price_networks import Case

STEP = "breakdown"
STEPS = 5
ROWS = 40


def units(settings: Settings) -> list[Unit]:
    """List the units of this step."""
    return [
        Unit(STEP, f"time in {case.name}", break_down, (case,), 90.0, 30.0) for case in settings.broken_down
    ]


class Call(NamedTuple):
    """One call of an operator: whether attention made it, its name, its largest map, and its bytes."""

    attention: bool
    operator: str
    shape: tuple[int, ...]
    moved: int


class OperatorClock(TorchDispatchMode):
    """Times every operator, on a GPU between device events, and counts the bytes that it moves.

    Backward passes are included. Operators of attention are recognised by their names (foveate::…), and in
    the forward pass also by the module that is running.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.on_gpu = device.type == "cuda"
        self.inside = 0
        self.calls: list[tuple[Call, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begin = self._now()
        out = func(*args, **(kwargs or {}))
        end = self._now()
        packet = func._overloadpacket
        operator = f"{func.namespace}::{packet.__name__}"
        shapes = [tuple(given.shape) for given in args if isinstance(given, torch.Tensor)]
        shape = max(shapes, key=lambda shape: torch.Size(shape).numel(), default=())
        attention = self.inside > 0 or func.namespace == "foveate"
        moved = bytes_moved(func, args, kwargs or {}, out)
        if moved:
            self.calls.append((Call(attention, operator, shape, moved), begin, end))
        return out

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def read(self) -> list[tuple[Call, float]]:
        """Return the calls of a step with their times in ms, and clear them."""
        if self.on_gpu:
            torch.cuda.synchronize()
            times = [(call, float(begin.elapsed_time(end))) for call, begin, end in self.calls]
        else:
            times = [(call, 1e3 * (end - begin)) for call, begin, end in self.calls]
        self.calls = []
        return times


def break_down(settings: Settings, case: Case, *, seconds: float) -> dict[str, Any]:
    """Measure the operators of a case's network, and the kernels that the profiler sees.

    A row is an operator on maps of one shape: calls per step, ms, bytes, and its share of the bandwidth of a
    copy between arrays larger than the caches.
    """
    spec = case.spec(settings.torch_device, None, settings.seconds)
    made = make_ready(spec, spec.attention[1])
    path = _ask_for_kernels(made.network, settings.device)
    bandwidth = measure_bounds(spec.device, spec.torch_dtype).bandwidth
    torch.backends.cudnn.benchmark = True
    for _ in range(3):
        made.step()
    clock = OperatorClock(spec.device)
    with ExitStack() as hooks:
        for module in attached(made.network).values():
            hooks.callback(module.register_forward_pre_hook(_moves(clock, 1)).remove)
            hooks.callback(module.register_forward_hook(_moves(clock, -1)).remove)
        taken, launching = [], 0.0
        for _ in range(1 + STEPS):
            _keep_busy(spec.device, launching)
            started = time.perf_counter()
            with clock:
                made.step()
            launching = time.perf_counter() - started
            taken.append(clock.read())
    rows = _rows(taken[1:], bandwidth)
    inside = sum(row["ms"] for row in rows if row["attention"])
    return {
        "path": path,
        "copy_gigabytes_per_second": round(bandwidth / 1e9, 1),
        "attention_ms": inside,
        "other_ms": sum(row["ms"] for row in rows) - inside,
        "attention_at_bandwidth_ms": sum(row["bytes"] for row in rows if row["attention"]) / bandwidth * 1e3,
        "operators": rows[:ROWS],
        "kernels": _profiled_kernels(made.step) if settings.device == "cuda" else [],
    }


def _keep_busy(device: torch.device, seconds: float) -> None:
    """Keep a GPU busy while the CPU launches a step; otherwise the events would time the launches."""
    if device.type == "cuda":
        torch.cuda._sleep(int(2e9 * seconds))


def _ask_for_kernels(network: Any, device: str) -> str:
    """Set the kernel path by name, because `auto` takes the reference path under a dispatch mode."""
    for path in ("triton",) if device == "cuda" else ("rearranged",):
        try:
            set_path(network, path)
        except RequestError:
            continue
        return path
    return "auto"


def _moves(clock: OperatorClock, by: int) -> Callable[..., None]:
    def move(*_: Any) -> None:
        clock.inside += by

    return move


def _rows(taken: list[list[tuple[Call, float]]], bandwidth: float) -> list[dict[str, Any]]:
    """Sum the calls of each kind; a call's time is its median over the steps."""
    sums: dict[tuple[bool, str, tuple[int, ...]], list[float]] = defaultdict(lambda: [0, 0.0, 0])
    for place, (call, _) in enumerate(taken[0]):
        times = [step[place][1] for step in taken if place < len(step)]
        of_kind = sums[call.attention, call.operator, call.shape]
        of_kind[0] += 1
        of_kind[1] += median(times)
        of_kind[2] += call.moved
    rows = [
        {
            "attention": attention,
            "operator": operator,
            "shape": list(shape),
            "calls": int(calls),
            "ms": ms,
            "bytes": int(moved),
            "share_of_bandwidth": moved / bandwidth / (ms / 1e3) if ms else None,
        }
        for (attention, operator, shape), (calls, ms, moved) in sums.items()
    ]
    return sorted(rows, key=lambda row: -row["ms"])


def _profiled_kernels(step: Callable[[], object]) -> list[dict[str, Any]]:
    """Return the kernels of a step by name, the longest first."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        step()
        torch.cuda.synchronize()
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for event in profiled.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            found[event.name][0] += 1
            found[event.name][1] += event.time_range.elapsed_us() / 1e3
    ranked = sorted(found.items(), key=lambda item: -item[1][1])
    return [{"kernel": name[:120], "calls": int(calls), "ms": ms} for name, (calls, ms) in ranked[:ROWS]]
