"""What the equations of all built-ins have in common: choices, their values, and the search through them."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.inspection.check.like.weights import Role, Weights

__all__ = ["ACTIVATIONS", "GATES", "Equation", "choice", "gate_texts", "pooled", "variants"]

GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "none": lambda x: x,
    "hard sigmoid": functional.hardsigmoid,
    "tanh": torch.tanh,
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "hardswish": functional.hardswish,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "none": lambda x: x,
}
_GATE_TEXTS = {
    "none": "missing sigmoid: {} multiplies by an unbounded number",
    "hard sigmoid": "{} ends in a hard sigmoid in place of the sigmoid",
    "tanh": "{} ends in a tanh in place of the sigmoid",
}


def gate_texts(part: str, name: str, *values: str) -> dict[tuple[str, Any], str]:
    """Return the sentences on the other values of a gate, which they call `name`."""
    return {(part, value): _GATE_TEXTS[value].format(name) for value in values}


def choice(*values: Any) -> Any:
    """Declare a choice of an equation: the built-in's value, and those that copies of it have."""
    return dataclasses.field(default=values[0], metadata={"values": values})


@dataclass(frozen=True)
class Equation:
    """The equation of a built-in with choices, whose defaults are the built-in's own.

    Attributes:
        TEXTS: a sentence for each other value of a choice.
        SIZES: a sentence for each open size: {own} is the built-in's, {found} the module's.
    """

    TEXTS: ClassVar[Mapping[tuple[str, Any], str]] = {}
    SIZES: ClassVar[Mapping[str, str]] = {}

    def of(self, builtin: nn.Module) -> "Equation":
        """Return this equation with the options of `builtin` that no shape shows."""
        return self

    def roles(self, channels: int) -> list[Role] | None:
        """Return the tensors that the equation needs; None if its choices exclude each other."""
        raise NotImplementedError

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Return the output for x."""
        raise NotImplementedError

    def differences(self, own: "Equation") -> list[tuple[str, Any]]:
        """Return the choices that differ from those of `own`, with their values here."""
        return [
            (field.name, getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(own, field.name)
        ]

    def text(self, part: str, value: Any, own: "Equation") -> str:
        """Return the sentence on one difference."""
        known = self.TEXTS.get((part, value))
        if known is not None:
            return known
        return f"{part.replace('_', ' ')} {value} in place of {getattr(own, part)}"


def variants(own: Equation) -> Iterator[Equation]:
    """Yield the equation with every combination of its choices, those with the fewest differences first."""
    fields = dataclasses.fields(own)
    values = [dict.fromkeys((getattr(own, field.name), *field.metadata["values"])) for field in fields]
    combined = itertools.product(*values)
    names = [field.name for field in fields]
    every = [dataclasses.replace(own, **dict(zip(names, chosen, strict=True))) for chosen in combined]
    yield from sorted(every, key=lambda variant: len(variant.differences(own)))


def pooled(x: Tensor, how: str) -> Tensor:
    """Return the mean or the maximum over the positions of x, (B, C, 1, 1)."""
    return x.amax(dim=(2, 3), keepdim=True) if how == "max" else x.mean(dim=(2, 3), keepdim=True)
