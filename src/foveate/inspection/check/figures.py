"""The costs of a module beside those of SE and DMSCA: parameters, work, and latency taken in turns."""

import functools

import torch
from torch import nn

from foveate.evaluation.cost import count_parameters
from foveate.evaluation.element_wise import Work, count_work
from foveate.evaluation.timing import OnRound, compare_latencies, take_turns
from foveate.inspection.check.subject import Subject, factory_of
from foveate.kernels import only_reference
from foveate.records.check import FigureRow

__all__ = ["BATCH", "MAP_SIDE", "figures", "figures_shape"]

BESIDE, MODULE = ("se", "dmsca"), "the module"
MAP_SIDE, BATCH = 14, 8
REDUCTION = 16
ROUNDS, SECONDS = (11, 200), 2.0


def figures_shape(subject: Subject) -> tuple[int, int, int, int]:
    """Return the shape of the maps that are timed: 14×14, or the largest size if it takes no such map."""
    size = (MAP_SIDE, MAP_SIDE) if subject.takes_any_size else subject.sizes[-1]
    return (BATCH, subject.channels, *size)


def figures(
    subject: Subject, label: str, on_round: OnRound | None = None, *, seconds: float = SECONDS
) -> tuple[FigureRow, ...]:
    """Count and time SE, DMSCA and the module on the same maps, in eval; ratios are to SE."""
    shape = figures_shape(subject)
    modules: dict[str, nn.Module] = {}
    for name in BESIDE:
        reduced = factory_of(name, reduction=min(REDUCTION, subject.channels))
        modules[name] = Subject(reduced, subject.channels, subject.device).build()
    modules[MODULE] = subject.build()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(subject.device)
    with torch.inference_mode():
        steps = {name: functools.partial(module, x) for name, module in modules.items()}
        turns = take_turns(steps, subject.device, seconds=seconds, rounds=ROUNDS, on_round=on_round)
    latencies = compare_latencies(turns)
    work = {name: _work(module, x[:1]) for name, module in modules.items()}
    rows = []
    for name, module in modules.items():
        counted = work[name]
        rows.append(
            FigureRow(
                module=label if name == MODULE else name,
                parameters=count_parameters(module),
                macs=None if counted is None else counted.multiply_adds,
                element_wise=None if counted is None else counted.element_wise,
                latency_ms_p50=latencies[name].p50,
                latency_ratio=latencies[name].ratio,
            )
        )
    return tuple(rows)


def _work(module: nn.Module, x: torch.Tensor) -> Work | None:
    """Count the work on one map; None where an operator cannot be counted."""
    try:
        with torch.no_grad(), only_reference():
            return count_work(lambda: module(x))
    except Exception:
        return None
