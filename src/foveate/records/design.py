"""The design of a study: its kind, and the comparisons that were planned before it ran (in study.json)."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal, NamedTuple

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
    """A planned comparison, `b` minus `a` (labels of candidates); `title` names the difference."""

    a: Text
    b: Text
    title: Text
    group: Text


class Value(WholeRecord):
    """A value of a swept option, as a person writes it, and the label of its candidate."""

    option: Text
    value: Text
    label: Text


class Control(WholeRecord):
    """The cost-matched control `label` of candidate `of`: its cost is `reached`, that of `of` is `asked`."""

    label: Text
    of: Text
    measure: Measure
    asked: Number
    reached: Number


class Trial(WholeRecord):
    """One trial of a search: its values as a person writes them, and its best validation accuracy."""

    number: Count
    values: dict[Text, Text]
    accuracy: Number | None
    epochs: Count
    state: Literal["complete", "pruned", "failed"]


class Search(WholeRecord):
    """A search over several options on the validation part: its trials, and the label of the best."""

    engine: Text
    seed: Count
    best: Text
    trials: Annotated[tuple[Trial, ...], Field(min_length=1)]
    importance: dict[Text, Number] = Field(default_factory=dict)


class PlannedPair(NamedTuple):
    """A comparison that a study makes; `title` and `group` are those of its contrast, if it has one."""

    a: str
    b: str
    title: str | None = None
    group: str | None = None


class Design(WholeRecord):
    """The kind of a study, its subject and its planned comparisons; by default all pairs are compared."""

    kind: Kind = "compare"
    subject: Text | None = None
    contrasts: tuple[Contrast, ...] = ()
    values: tuple[Value, ...] = ()
    controls: tuple[Control, ...] = ()
    search: Search | None = None

    def pairs(self, labels: Sequence[str]) -> list[PlannedPair]:
        """Return the comparisons of the candidates with these labels.

        Without planned comparisons, these are all pairs; a control is compared with its own candidate only.
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
