"""The types of what a record holds, checked when it is read.

Keys that are not named here are taken as they are; a newer foveate may write more of them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, AllowInfNan, Field, Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from foveate.errors import RequestError

__all__ = ["check_types", "reading"]

Text = Annotated[str, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Share = Annotated[float, Strict(), Field(gt=0, lt=1)]
Switch = Annotated[bool, Strict()]
SHOWN = 3


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


def check_types(record: Any, path: Path) -> None:
    """Raise RequestError, naming the first faults, unless the record from `path` is as foveate writes it."""
    if not isinstance(record, dict):
        raise RequestError(_refusal(path, f"it is a {type(record).__name__}, and no object"))
    if endless := _find_endless(record):
        raise RequestError(_refusal(path, f"{endless} is no finite number"))
    types = TYPES.get(path.name, EXAMINATION)
    try:
        types.validate_python(record)
    except ValidationError as error:
        raise RequestError(_refusal(path, _faults(error))) from None
    if path.name == "study.json":
        unknown = sorted({run["attention"] for run in record["runs"]} - set(record["attention"]))
        if unknown:
            raise RequestError(
                _refusal(path, f"runs have the attention {unknown[0]}, which the study has not")
            )
    if path.name == "result.json":
        classes = len(record["test"]["per_class"])
        sizes = {len(record["test"]["confusion"]), *map(len, record["test"]["confusion"])}
        if sizes - {classes}:
            raise RequestError(
                _refusal(path, f"confusion is not {classes} × {classes}, and there are as many classes")
            )


def _find_endless(value: Any, where: str = "") -> str:
    """Say where in a record a number is infinite or none at all; "" where every number is finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(filter(None, (_find_endless(item, f"{where}.{key}".lstrip(".")) for key, item in items)), "")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in taking the record at `path` apart into a RequestError that names the file.

    It is for code that reads alone: what fails there fails by what the record holds.
    """
    try:
        yield
    except RequestError:
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        ZeroDivisionError,
        OverflowError,
    ) as error:
        raise RequestError(_refusal(path, f"{type(error).__name__}: {error}")) from error


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False)
    said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:SHOWN])
    return said + f"; and {len(faults) - SHOWN} more" * (len(faults) > SHOWN)


def _refusal(path: Path, fault: str) -> str:
    return (
        f"{path} is not as foveate writes it: {fault}. Take it away and give its command again: what is "
        "missing is made anew"
    )
