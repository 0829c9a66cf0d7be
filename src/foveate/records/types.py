"""The types of what a record holds.

Keys that are not named here are taken as they are; a newer foveate may write more of them.
"""

from pathlib import PurePath
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, AllowInfNan, Field, Strict, TypeAdapter
from typing_extensions import TypedDict

__all__ = ["EXAMINATION", "TYPES"]

Text = Annotated[str, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Share = Annotated[float, Strict(), Field(gt=0, lt=1)]
Switch = Annotated[bool, Strict()]


def _below(name: str) -> str:
    parts = PurePath(name).parts
    if not parts or ".." in parts or PurePath(name).is_absolute():
        raise ValueError("expected the name of a folder within the study's")
    return name


FolderName = Annotated[str, Strict(), AfterValidator(_below)]


class Run(TypedDict):
    """One run that a study planned; its id is the name of its folder."""

    id: FolderName
    attention: Text
    seed: Count


class FailedRun(Run):
    """One that came to nothing."""

    error: Text


class StudyData(TypedDict):
    """The images of a study."""

    source: Text
    name: Text
    classes: Annotated[list[Text], Field(min_length=1)]
    channels: Count
    image_size: Count
    train: Count
    validation: Count
    test: Count
    train_fraction: NotRequired[Number]
    notes: list[Text]
    fingerprint: Text


class Statistics(TypedDict):
    """How a study's differences are tested."""

    adjust: Text
    alpha: Share
    power: Share


class Contrast(TypedDict):
    """A planned comparison."""

    a: Text
    b: Text
    title: Text
    group: Text


class Value(TypedDict):
    """A value of a swept option."""

    option: Text
    value: Text
    label: Text


class Control(TypedDict):
    """A baseline that costs as much as a mechanism."""

    label: Text
    of: Text
    measure: Text
    asked: Number
    reached: Number


class Trial(TypedDict):
    """One trial of a search."""

    number: Count
    values: dict[str, Text]
    accuracy: Number | None
    epochs: Count
    state: Text


class Search(TypedDict):
    """What a search tried."""

    engine: Text
    seed: Count
    best: Text
    trials: list[Trial]
    importance: NotRequired[dict[str, Number]]


class Design(TypedDict, total=False):
    """What a study is to find out."""

    kind: Text
    subject: Text | None
    contrasts: list[Contrast]
    values: list[Value]
    controls: list[Control]
    search: Search | None


class Study(TypedDict):
    """study.json."""

    foveate: Text
    name: Text
    data: StudyData
    backbone: Text
    design: NotRequired[Design]
    pretrained: NotRequired[Switch]
    attention: Annotated[list[Text], Field(min_length=1)]
    seeds: Annotated[list[Count], Field(min_length=1)]
    recipe: dict[str, Any]
    statistics: Statistics
    command: Text
    environment: dict[str, Any]
    runs: Annotated[list[Run], Field(min_length=1)]
    failed: list[FailedRun]


class ClassScores(TypedDict):
    """How one class was told from the others; None where the test part has none of it."""

    accuracy: Number | None
    precision: Number | None
    recall: Number | None
    f1: Number | None
    support: Count


class Scores(TypedDict):
    """How a network did on the test part."""

    accuracy: Number
    loss: Number
    precision: Number
    recall: Number
    f1: Number
    ece: Number
    per_class: list[ClassScores]
    confusion: list[list[Count]]


class Epoch(TypedDict):
    """A row of a training's history."""

    epoch: Count
    train_loss: Number
    train_accuracy: Number
    validation_loss: Number
    validation_accuracy: Number
    learning_rate: NotRequired[Number]
    seconds: NotRequired[Number]
    images_per_second: NotRequired[Number]
    input_share: NotRequired[Number | None]
    learned: NotRequired[dict[str, dict[str, Number]]]


class Result(TypedDict):
    """result.json."""

    id: Text
    spec: dict[str, Any]
    test: Scores
    best_epoch: Count
    stopped_early: Switch
    seconds: Number
    epochs: Annotated[list[Epoch], Field(min_length=1)]


class CostRow(TypedDict):
    """What was measured of one candidate."""

    parameters: Count
    macs: NotRequired[Count]
    latency_ms_p50: NotRequired[Number | None]
    latency_ms_p95: NotRequired[Number | None]
    latency_ratio: NotRequired[Number | None]


class Cost(TypedDict):
    """cost.json."""

    conditions: NotRequired[dict[str, Any]]
    rows: dict[str, CostRow]
    batch_size: NotRequired[Count]
    device: NotRequired[Text]


class Network(TypedDict):
    """A network that was examined."""

    name: Text
    label: Text
    seed: Count | None
    backbone: Text


class Measured(TypedDict):
    """A row of an examination: a key, and what was measured under it."""

    key: dict[str, Any]


class Examination(TypedDict):
    """explain.json, robustness.json, transfer-*.json."""

    kind: Text
    command: Text
    environment: dict[str, Any]
    settings: dict[str, Any]
    data: dict[str, Any]
    networks: list[Network]
    left_out: list[Text]
    warnings: list[Text]
    rows: list[Measured]
    kept: list[Measured]


TYPES: dict[str, TypeAdapter[Any]] = {
    "study.json": TypeAdapter(Study),
    "result.json": TypeAdapter(Result),
    "cost.json": TypeAdapter(Cost),
}
EXAMINATION = TypeAdapter(Examination)
