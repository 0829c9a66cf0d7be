"""Compare a module with a built-in at equal weights, and name the fewest known differences."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.inspection.check.like.bam import BAMEquation
from foveate.inspection.check.like.builtins import check_builtin
from foveate.inspection.check.like.cbam import CBAMEquation
from foveate.inspection.check.like.channel import ECAEquation, SEEquation
from foveate.inspection.check.like.coordinate import CoordinateEquation
from foveate.inspection.check.like.double import DoubleEquation
from foveate.inspection.check.like.equation import Equation, variants
from foveate.inspection.check.like.simam import SimAMEquation
from foveate.inspection.check.like.weights import Held, Weights, assignments, held_by, randomise
from foveate.inspection.check.subject import Factory, Subject, factory_of, short, written_input
from foveate.records.base import FORMAT
from foveate.records.check import DifferenceRow, LikeRecord
from foveate.studies.engine.environment import command_line
from foveate.version import __version__

__all__ = ["EQUATIONS", "compare_with"]

EQUATIONS: Mapping[str, Equation] = {
    "a2": DoubleEquation(),
    "bam": BAMEquation(),
    "ca": CoordinateEquation(),
    "cbam": CBAMEquation(),
    "eca": ECAEquation(),
    "se": SEEquation(),
    "simam": SimAMEquation(),
}
EQUAL = 1e-9
"""Differences in float64 up to this share of the largest output are rounding."""
NEAR = 0.1
"""A variant whose output is so much nearer than the built-in's is mentioned where none gives the same."""
MAPS = ((3, (6, 5), 1.0), (3, (4, 7), 1.0), (9, (23, 18), 1.0), (2, (6, 5), 30.0))
"""Batch, size and scale of the maps by which functions are compared: larger ones show limits and clamps."""
SMALL = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (6, 5), (14, 14))
MODES = (False, True)

Function = Callable[[Tensor, bool], Tensor]
"""From a map and the mode (training or not) to the output."""


@dataclass(frozen=True)
class Fit:
    """A variant of an equation with tensors of the module, and how far its output is from the module's."""

    equation: Equation
    given: Mapping[str, Held]
    sizes: Mapping[str, int]
    difference: float


def compare_with(
    factory: Factory, label: str, builtin: str, options: Mapping[str, Any], channels: int = 64
) -> LikeRecord:
    """Compare the module that `factory` builds with the built-in of these options, in float64.

    The module gets random weights. Each variant of the built-in's equation that needs tensors of just these
    shapes is computed with them, in eval and in training, from the fewest differences to the most; the first
    that gives the module's output says how the two differ.

    Raises:
        RequestError: foveate does not know the variants of the built-in, or an option does not fit.
    """
    check_builtin(builtin)
    own_factory = factory_of(builtin, **options)
    subject = Subject(factory, channels)
    own = Subject(own_factory, channels).build(dtype=torch.float64)
    written = ",".join(f"{key}={value}" for key, value in options.items())
    record = LikeRecord(
        format=FORMAT,
        foveate=__version__,
        module=label,
        builtin=f"{builtin}({written})" if written else builtin,
        channels=channels,
        command=command_line(),
        verdict="unknown",
    )
    module = subject.build(dtype=torch.float64)
    randomise(module)
    run = _function(module)
    maps = [
        scale * subject.map(batch, size, torch.float64, seed)
        for seed, (batch, size, scale) in enumerate(MAPS)
    ]
    try:
        expected = [run(x, training) for x in maps for training in MODES]
    except Exception as error:
        note = f"It does not run on maps of {channels} channels in float64: {short(error)}."
        return record.model_copy(update={"notes": (note,)})
    if any(y.shape != x.shape for y, x in zip(expected[::2], maps, strict=True)):
        return record.model_copy(update={"notes": (f"Its output has shape {tuple(expected[0].shape)}.",)})
    base = EQUATIONS[builtin].of(own)
    held, eps = held_by(module), _eps_of(module)
    best: Fit | None = None
    for fit in _fits(base, held, channels, eps, maps, expected):
        if best is None or fit.difference < best.difference:
            best = fit
        if best.difference <= EQUAL:
            break
    if best is None:
        shapes = ", ".join(f"{one.name} {tuple(one.tensor.shape)}" for one in held) or "none"
        note = f"Its tensors fit no variant of {builtin} that foveate knows; they are {shapes}."
        return record.model_copy(update={"notes": (note,)})
    return _described(record, best, base, own, eps, module, maps, expected)


def _described(
    record: LikeRecord,
    best: Fit,
    base: Equation,
    own: nn.Module,
    eps: float,
    module: nn.Module,
    maps: list[Tensor],
    expected: list[Tensor],
) -> LikeRecord:
    run = _function(module)
    own_given, own_sizes = next(assignments(base.roles(record.channels) or [], held_by(own)))
    rows = [
        DifferenceRow(part=part, value=str(value), text=best.equation.text(part, value, base))
        for part, value in best.equation.differences(base)
    ]
    for letter, text in base.SIZES.items():
        found, size = best.sizes.get(letter), own_sizes.get(letter)
        if found is not None and found != size:
            said = text.format(found=found, own=size)
            rows.append(DifferenceRow(part=said.partition(":")[0], value=str(found), text=said))
    own_eps = _eps_of(own)
    if eps != own_eps and any(name.endswith(".var") for name in best.given):
        text = f"the norms have an eps of {eps:g} in place of {own_eps:g}"
        rows.append(DifferenceRow(part="eps", value=f"{eps:g}", text=text))
    is_known = best.difference <= EQUAL
    update: dict[str, Any] = {
        "remaining_difference": best.difference,
        "weights": {held.name: role for role, held in best.given.items()},
    }
    if _carry_over(best.given, own_given):
        other = _function(own)
        outputs = [other(x, training) for x in maps for training in MODES]
        update["largest_difference"] = _difference(outputs, expected)
        update["smallest_input"] = _smallest(run, other, record.channels)
    is_equal = update.get("largest_difference", torch.inf) <= EQUAL
    if is_known and is_equal and not rows:
        fault = _unlike(update["smallest_input"], module, own, maps[0])
        update |= {"verdict": "unknown", "notes": (fault,)} if fault else {"verdict": "same"}
    elif is_known:
        update |= {"differences": tuple(rows), "verdict": "known"}
    elif rows and best.difference < NEAR * update.get("largest_difference", 0.0):
        nearest = "; ".join(row.text for row in rows)
        update["notes"] = (f"The nearest variant that foveate knows: {nearest}.",)
    return record.model_copy(update=update)


def _fits(
    base: Equation,
    held: list[Held],
    channels: int,
    eps: float,
    maps: list[Tensor],
    expected: list[Tensor],
) -> Iterator[Fit]:
    """Yield the variants that need tensors of just these shapes, those with the fewest differences first."""
    for equation in variants(base):
        roles = equation.roles(channels)
        if roles is None:
            continue
        for given, sizes in assignments(roles, held):
            weights = Weights({role: one.tensor for role, one in given.items()}, eps)
            outputs = []
            difference = 0.0
            with torch.no_grad():
                for index, (x, training) in enumerate((x, training) for x in maps for training in MODES):
                    outputs.append(equation(x, replace(weights, training=training)))
                    difference = max(difference, _difference(outputs[-1:], expected[index : index + 1]))
                    if difference > EQUAL and index == 0:
                        break
            yield Fit(equation, given, sizes, difference)


def _unlike(smallest: str | None, module: nn.Module, own: nn.Module, x: Tensor) -> str | None:
    """Say how two functions differ that are equal on the maps of `MAPS`; None if they do not."""
    if smallest is not None:
        return f"They are equal on most maps, and differ at {smallest}, in no way that foveate knows."
    ours, theirs = (_gradient(copy.deepcopy(one).eval(), x) for one in (module, own))
    if _difference([ours], [theirs]) > EQUAL:
        return "Their outputs are equal, and their gradients by the map are not: some part is detached."
    return None


def _gradient(module: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).reshape(y.shape)
    (gradient,) = torch.autograd.grad((weights * y).sum(), x)
    return gradient


def _function(module: nn.Module) -> Function:
    """Return the module as a function; each call is made by a copy, so that no statistics move."""

    @torch.no_grad()
    def run(x: Tensor, training: bool) -> Tensor:
        y: Tensor = copy.deepcopy(module).train(training)(x.clone())
        return y

    return run


def _difference(outputs: list[Tensor], expected: list[Tensor]) -> float:
    """Return the largest difference, relative to the largest output where that is above 1."""
    largest = 0.0
    for y, other in zip(outputs, expected, strict=True):
        difference = (y - other).abs().max().item() / max(1.0, other.abs().max().item())
        largest = max(largest, difference if difference == difference else torch.inf)
    return min(largest, torch.finfo(torch.float64).max)


def _smallest(run: Function, other: Function, channels: int) -> str | None:
    """Return the smallest input at which two functions differ; None if they agree at all that are tried."""
    for size in SMALL:
        for training in MODES:
            x = Subject(lambda _: nn.Identity(), channels).map(2 if training else 1, size, torch.float64)
            try:
                y = run(x, training)
            except Exception as error:
                return f"{written_input(x, training=training)}, where the module raises {short(error)}"
            if _difference([y], [other(x, training)]) > EQUAL:
                return written_input(x, training=training)
    return None


def _carry_over(given: Mapping[str, Held], own: Mapping[str, Held]) -> bool:
    """Copy the module's tensors to the built-in's, role by role; False if a shape is another one.

    What the module lacks becomes neutral: biases and shifts 0, scales 1. What it has besides is ignored.
    """
    if any(role in given and given[role].shape != one.shape for role, one in own.items()):
        return False
    with torch.no_grad():
        for role, one in own.items():
            if role in given:
                one.tensor.copy_(given[role].tensor.reshape(one.tensor.shape))
            elif one.kind in ("norm.weight", "norm.var"):
                one.tensor.fill_(1.0)
            elif role.endswith((".bias", ".mean")):
                one.tensor.zero_()
            else:
                return False
    return True


def _eps_of(module: nn.Module) -> float:
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    return norms[0].eps if norms else AnySizeBatchNorm2d(1).eps
