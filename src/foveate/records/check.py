"""The records of `foveate check`: the promises that a module keeps or breaks, and how two modules differ."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from foveate.records.base import Count, Number, Record, Text, WholeRecord
from foveate.records.environment import Environment

__all__ = [
    "Cause",
    "CheckRecord",
    "DifferenceRow",
    "FigureRow",
    "LikeRecord",
    "NeededFor",
    "PromiseRow",
    "Verdict",
]

Verdict = Literal["kept", "broken", "not applicable"]
NeededFor = Literal["training", "shipping", "comfort"]
Cause = Literal[
    "softmax over the batch",
    "statistic over the batch",
    "pooling of a fixed size",
    "input changed in place",
    "gate without a bound",
    "parameter without a gradient",
    "tensor of a fixed dtype",
    "tensor on a fixed device",
    "CUDA call inside",
    "numpy inside",
    "values read inside",
    "gradient cut by detach",
    "BatchNorm of one value",
    "random numbers in eval",
]
"""The known reasons for which a promise is broken."""


class PromiseRow(WholeRecord):
    """One promise, and whether the module keeps it.

    Attributes:
        promise: its short name, which `--only` takes.
        title: what is promised.
        needed_for: what fails if it is broken.
        verdict: kept, broken or not applicable.
        input: the smallest input that was found to break it; None if it is not broken.
        found: what came out; None if it is not broken.
        cause: the known reason; None if it is not broken or the reason is not known.
        place: file and line of the cause; None if it is not known.
        why_not: why it is not applicable; None if it is.
        seconds: the time that the check of this promise took.
    """

    promise: Text
    title: Text
    needed_for: NeededFor
    verdict: Verdict
    input: Text | None = None
    found: Text | None = None
    cause: Cause | None = None
    place: Text | None = None
    why_not: Text | None = None
    seconds: Number

    @property
    def is_fatal(self) -> bool:
        """Whether training or shipping fails because of this promise."""
        return self.verdict == "broken" and self.needed_for != "comfort"


class FigureRow(Record):
    """The costs of one module on one map.

    Attributes:
        module: its label.
        parameters: learned numbers.
        macs: multiply-adds of convolutions and matrix products for one map; None if they cannot be counted.
        element_wise: element-wise operations for one map; None likewise.
        latency_ms_p50: median time of one pass in ms.
        latency_ratio: median over the rounds of its time divided by that of the first row.
    """

    module: Text
    parameters: Count
    macs: Count | None
    element_wise: Count | None
    latency_ms_p50: Number
    latency_ratio: Number


class CheckRecord(WholeRecord):
    """What `foveate check` found; `figures` are on maps of `figures_input`, empty if nothing could run."""

    format: Count
    foveate: Text
    module: Text
    channels: tuple[Count, ...]
    device: Text
    command: Text
    environment: Environment
    promises: tuple[PromiseRow, ...]
    figures_input: tuple[Count, ...] = ()
    figures: tuple[FigureRow, ...] = ()

    @property
    def broken(self) -> list[PromiseRow]:
        """The broken promises."""
        return [row for row in self.promises if row.verdict == "broken"]

    @property
    def fatal(self) -> list[PromiseRow]:
        """The broken promises that training or shipping needs."""
        return [row for row in self.promises if row.is_fatal]


class DifferenceRow(Record):
    """A known difference: the part of the equation, its value in the module, and a sentence."""

    part: Text
    value: Text
    text: Text


class LikeRecord(WholeRecord):
    """What `foveate check MODULE --like BUILTIN` found.

    Attributes:
        module: the label of the module.
        builtin: the built-in that it was compared with, and its options.
        channels: channels of the maps.
        verdict: "same" function of the input and the weights, "known" differences, or "unknown" ones.
        differences: the known differences; they are few because the fewest that explain the output are taken.
        largest_difference: the largest difference of an output between the module and the built-in with equal
            weights, on standard normal maps; None if their weights cannot be made equal.
        remaining_difference: the same between the module and the built-in's equations with the known
            differences; None if there is no variant with such weights.
        smallest_input: the smallest input at which they differ; None if they do not, or cannot be compared.
        weights: which tensor of the module was taken for which of the built-in.
        notes: what else a reader must know, in sentences.
    """

    format: Count
    foveate: Text
    module: Text
    builtin: Text
    channels: Count
    command: Text
    verdict: Literal["same", "known", "unknown"]
    differences: tuple[DifferenceRow, ...] = ()
    largest_difference: Number | None = None
    remaining_difference: Number | None = None
    smallest_input: Text | None = None
    weights: Mapping[Text, Text] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether both are the same function."""
        return self.verdict == "same"
