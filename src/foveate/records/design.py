"""What a study is to find out: its kind, and the comparisons that were planned before it ran."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from pydantic import Field

from foveate.records.base import Count, Number, Text, WholeRecord

__all__ = [
    "Contrast",
    "Control",
    "Design",
    "Growth",
    "Kind",
    "Measure",
    "PlannedPair",
    "Search",
    "Trial",
    "Value",
]

Kind = Literal["compare", "networks", "ablate", "sweep"]
Measure = Literal["parameters", "macs", "latency"]
Growth = Literal["width", "depth"]


class Contrast(WholeRecord):
    """A planned comparison: `b` minus `a`, labels of candidates; `title` says what the difference is of."""

    a: Text
    b: Text
    title: Text
    group: Text


class Value(WholeRecord):
    """A value of a swept option, as a person writes it, and the candidate that has it."""

    option: Text
    value: Text
    label: Text


class Control(WholeRecord):
    """A plain backbone, `label`, that was made as dear as `of`: `reached` of the `asked` measure."""

    label: Text
    of: Text
    measure: Measure
    asked: Number
    reached: Number


class Trial(WholeRecord):
    """One trial of a search: its values as a person writes them, and the best validation accuracy it saw."""

    number: Count
    values: dict[Text, Text]
    accuracy: Number | None
    epochs: Count
    state: Literal["complete", "pruned", "failed"]


class Search(WholeRecord):
    """What a search over several options tried, on the validation part alone, and which it ended with."""

    engine: Text
    seed: Count
    best: Text
    trials: tuple[Trial, ...]
    importance: dict[Text, Number] = Field(default_factory=dict)


class PlannedPair(NamedTuple):
    """A comparison that a study was made for; `title` and `group` are those of its contrast, if it is one."""

    a: str
    b: str
    title: str | None = None
    group: str | None = None


class Design(WholeRecord):
    """The kind of a study, its subject, and its planned comparisons; without any, all pairs are compared."""

    kind: Kind = "compare"
    subject: Text | None = None
    contrasts: tuple[Contrast, ...] = ()
    values: tuple[Value, ...] = ()
    controls: tuple[Control, ...] = ()
    search: Search | None = None

    def pairs(self, labels: Sequence[str]) -> list[PlannedPair]:
        """Return the comparisons that the study was made for, of the candidates with these labels.

        Where none is planned: all pairs of candidates, but of a control only that with what it controls.
        """
        if self.contrasts:
            return [
                PlannedPair(contrast.a, contrast.b, contrast.title, contrast.group)
                for contrast in self.contrasts
                if {contrast.a, contrast.b} <= set(labels)
            ]
        own = [(control.label, control.of) for control in self.controls]
        controls = {label for label, _ in own}
        pairs = combinations([label for label in labels if label not in controls], 2)
        kept = [pair for pair in own if set(pair) <= set(labels)]
        return [PlannedPair(a, b) for a, b in [*pairs, *kept]]
