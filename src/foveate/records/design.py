"""The design of a study: its kind, and the comparisons that were planned before it ran (in study.json)."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from foveate.records.base import Count, Number, Text, WholeRecord
from foveate.records.labels import BASELINE

__all__ = [
    "Contrast",
    "Control",
    "Design",
    "Family",
    "Growth",
    "Kind",
    "Measure",
    "PlannedPair",
    "Search",
    "Tested",
    "Trial",
    "Value",
]

Kind = Literal["compare", "networks", "ablate", "sweep"]
Measure = Literal["parameters", "macs", "latency"]
Growth = Literal["width", "depth"]
Family = Literal["baseline", "all"]
"""What is compared where nothing was planned: each candidate with the baseline, or all pairs."""
Tested = Literal["baseline", "all", "planned"]
"""What a study compares: a family, or its planned comparisons."""


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
    """The kind of a study, its subject and its comparisons.

    `family` says what is compared where no contrasts were planned. It is written where it was given; the
    records of foveate 0.1.0 have none, and compare all pairs.
    """

    kind: Kind = "compare"
    subject: Text | None = None
    contrasts: tuple[Contrast, ...] = ()
    values: tuple[Value, ...] = ()
    controls: tuple[Control, ...] = ()
    search: Search | None = None
    family: Family = "all"

    def model_post_init(self, context: Any) -> None:
        """Count every field as given, apart from `family`."""
        has_family = "family" in self.model_fields_set
        super().model_post_init(context)
        if not has_family:
            self.model_fields_set.discard("family")

    @property
    def tested(self) -> Tested:
        """What the study compares."""
        return "planned" if self.contrasts else self.family

    def pairs(self, labels: Sequence[str]) -> list[PlannedPair]:
        """Return the comparisons of the candidates with these labels.

        Without planned comparisons, these are the pairs of the family; a control is compared with its own
        candidate only.
        """
        if self.contrasts:
            return [
                PlannedPair(contrast.a, contrast.b, contrast.title, contrast.group)
                for contrast in self.contrasts
                if {contrast.a, contrast.b} <= set(labels)
            ]
        own = [(control.label, control.of) for control in self.controls]
        controls = {label for label, _ in own}
        pairs = list(combinations([label for label in labels if label not in controls], 2))
        if self.family == "baseline":
            pairs = [(BASELINE, a if b == BASELINE else b) for a, b in pairs if BASELINE in (a, b)]
        kept = [pair for pair in own if set(pair) <= set(labels)]
        return [PlannedPair(a, b) for a, b in [*pairs, *kept]]
