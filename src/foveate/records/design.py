"""What a study is to find out: its kind, and the comparisons that were planned before it ran."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Contrast", "Control", "Design", "Growth", "Kind", "Measure", "Search", "Trial", "Value"]

Kind = Literal["compare", "networks", "ablate", "sweep"]
Measure = Literal["parameters", "macs", "latency"]
Growth = Literal["width", "depth"]


class Contrast(BaseModel):
    """A planned comparison: `b` minus `a`, labels of candidates; `title` says what the difference is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: str
    b: str
    title: str
    group: str


class Value(BaseModel):
    """A value of a swept option, as a person writes it, and the candidate that has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    option: str
    value: str
    label: str


class Control(BaseModel):
    """A plain backbone, `label`, that was made as dear as `of`: `reached` of the `asked` measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    of: str
    measure: Measure
    asked: float
    reached: float


class Trial(BaseModel):
    """One trial of a search: its values as a person writes them, and the best validation accuracy it saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    values: dict[str, str]
    accuracy: float | None
    epochs: int
    state: Literal["complete", "pruned", "failed"]


class Search(BaseModel):
    """What a search over several options tried, on the validation part alone, and which it ended with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    seed: int
    best: str
    trials: tuple[Trial, ...]
    importance: dict[str, float] = {}


class Design(BaseModel):
    """The kind of a study, its subject, and its planned comparisons; without any, all pairs are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = "compare"
    subject: str | None = None
    contrasts: tuple[Contrast, ...] = ()
    values: tuple[Value, ...] = ()
    controls: tuple[Control, ...] = ()
    search: Search | None = None
