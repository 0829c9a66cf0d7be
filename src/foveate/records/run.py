"""The record of a finished run, checked at every reading: whose it is, and that its values are possible."""

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

from pydantic import Field, model_validator

from foveate.errors import RequestError
from foveate.names import map_strings, printable
from foveate.records.base import Count, Json, Number, Record, Switch, Text, parse_record, refusal
from foveate.records.environment import Environment
from foveate.records.files import read_json
from foveate.records.metric import CLASSIFICATION, Metric, TaskRecord

__all__ = [
    "CLASS_SCORES",
    "ClassScores",
    "Epoch",
    "RunData",
    "RunRecord",
    "Scores",
    "read_run",
    "spec_id",
    "waiting_share",
]

ROUNDING = 1e-6
"""Scores are means in float32: a share may lie this far outside of its bounds."""
CLASS_SCORES = ("accuracy", "precision", "recall", "f1")
"""The fields of `ClassScores` that are None of a class without test images."""
REMEDY = "Delete the file and give the study's command again: the run is made again."


class ClassScores(Record):
    """How one class was told from the others; scores are None where the test part has no image of it.

    foveate 0.1.0 recorded 0 for these, which reads as None here.
    """

    name: Text = Field(alias="class")
    accuracy: Number | None
    precision: Number | None
    recall: Number | None
    f1: Number | None
    support: Count

    @property
    def tested_accuracy(self) -> float | None:
        """The accuracy, or None without test images."""
        return self.accuracy if self.support else None


class Scores(Record):
    """How a network did on the test part: a number for each metric of the task, under the metric's name.

    Attributes:
        per_class: of a classification, a row for each class.
        confusion: of a classification, images by true class (row) and predicted class (column).
    """

    accuracy: Number | None = None
    loss: Number | None = None
    precision: Number | None = None
    recall: Number | None = None
    f1: Number | None = None
    ece: Number | None = None
    per_class: tuple[ClassScores, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] = ()

    def value(self, metric: Metric) -> float:
        """Return the value of `metric`."""
        return float(getattr(self, metric.name))

    @model_validator(mode="after")
    def _check_confusion(self) -> "Scores":
        classes = len(self.per_class)
        if {len(self.confusion), *map(len, self.confusion)} - {classes}:
            raise ValueError(f"confusion is not {classes} × {classes}, and there are as many classes")
        return self


class Epoch(Record):
    """A row of a training's history: the loss and the primary metric on both parts, and how training went."""

    epoch: Count
    validation_loss: Number
    validation_accuracy: Number | None = None
    train_loss: Number
    train_accuracy: Number | None = None
    learning_rate: Number | None = None
    seconds: Number | None = None
    images_per_second: Number | None = None
    input_share: Number | None = None
    learned: dict[Text, dict[Text, Number]] = Field(default_factory=dict)

    def training(self, metric: Metric) -> float:
        """Return the value of `metric` on the training part."""
        return float(getattr(self, f"train_{metric.name}"))

    def validation(self, metric: Metric) -> float:
        """Return the value of `metric` on the validation part."""
        return float(getattr(self, f"validation_{metric.name}"))


class RunData(Record):
    """How many images a run had; `greys` are the values that became 0 and 255, of more than 8 bits."""

    train: Count
    validation: Count
    test: Count
    greys: tuple[Number, Number] | None = None


class RunRecord(Record):
    """result.json: what a run was (`spec`, in plain values), and what came of it."""

    format: Count
    foveate: Text = ""
    id: Text
    spec: dict[str, Json]
    data: RunData | None = None
    test: Scores
    best_epoch: Count
    stopped_early: Switch
    seconds: Number
    epochs: Annotated[tuple[Epoch, ...], Field(min_length=1)]
    environment: Environment = Environment()
    weights_sha256: Text | None = None


def waiting_share(epochs: Sequence[Epoch]) -> float | None:
    """Return the mean share of an epoch's training that waited for images; None where none is recorded."""
    shares = [epoch.input_share for epoch in epochs if epoch.input_share is not None]
    return fmean(shares) if shares else None


def spec_id(spec: Mapping[str, Json]) -> str:
    """Return the hash of a run's `spec` in plain values, which names the run's folder.

    Where the images lie does not matter, what they are does; nor does what a candidate is called.
    """
    content = json.loads(json.dumps(spec))
    for part, names in (("data", ("source",)), ("attention", ("alias", "backbone", "label"))):
        for name in names:
            content.get(part, {}).pop(name, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def read_run(
    path: Path, run: str | None = None, task: TaskRecord = CLASSIFICATION, *, shown: bool = False
) -> RunRecord:
    """Read the record of a finished run at `path`; `shown` is that of `read_record`.

    Args:
        run: the id that is expected at `path`, where that is known.
        task: what the run was trained to do; each of its metrics must be there.

    Raises:
        RequestError: it is no record, another run's, was changed, or has a value that cannot be.
    """
    content = read_json(path)
    record = parse_record(RunRecord, content, path)
    _check_identity(record, path, run)
    _check_metrics(record, path, task)
    for value in _values(record, task):
        if not value.is_possible:
            raise RequestError(
                f"{path}: {value.name} is {value.given!r}, expected a number {value.expected}. {REMEDY}"
            )
    return parse_record(RunRecord, map_strings(content, printable), path) if shown else record


def _check_identity(record: RunRecord, path: Path, run: str | None) -> None:
    try:
        found = spec_id(record.spec)
        attention, seed = record.spec["attention"], record.spec["seed"]
        label = attention["label"]  # type: ignore[call-overload,index]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RequestError(
            f"{path} is not the record of a finished run ({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    if run is not None and record.id != run:
        raise RequestError(
            f"{path} is the record of another run: of {label}, seed {seed} (run {record.id}), and run {run} "
            f"is expected there. {REMEDY}"
        )
    if record.id != found:
        raise RequestError(
            f"{path} was changed: it names run {record.id}, and its spec is that of run {found}. {REMEDY}"
        )


def _check_metrics(record: RunRecord, path: Path, task: TaskRecord) -> None:
    """Refuse a record without a number for each metric: the types above know those of classification."""
    epoch_names = [f"{part}_{task.primary.name}" for part in ("train", "validation")]
    asked: list[tuple[str, Record, str]] = [("test", record.test, metric.name) for metric in task.metrics]
    asked += [(f"epochs.{n}", epoch, name) for n, epoch in enumerate(record.epochs) for name in epoch_names]
    for where, part, name in asked:
        value = getattr(part, name, None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError(refusal(path, f"{where}.{name}: expected a number, a metric of {task.name}"))


@dataclass(frozen=True)
class _Value:
    """A number of a record and the bounds that it must lie in; `name` says where it stands."""

    name: str
    given: float
    low: float
    high: float

    @property
    def is_possible(self) -> bool:
        high = min(self.high + ROUNDING, sys.float_info.max)
        return self.low - ROUNDING <= self.given <= high

    @property
    def expected(self) -> str:
        return f"from {self.low:g} to {self.high:g}" if self.high < math.inf else f"of at least {self.low:g}"


def _bounded(name: str, given: float, metric: Metric) -> _Value:
    low = -math.inf if metric.low is None else metric.low
    return _Value(name, given, low, math.inf if metric.high is None else metric.high)


def _values(record: RunRecord, task: TaskRecord) -> Iterator[_Value]:
    """Give every number that a report is made of."""
    for metric in task.metrics:
        yield _bounded(f"the test {metric.name}", getattr(record.test, metric.name), metric)
    for of_class in record.test.per_class:
        for name in CLASS_SCORES:
            value = getattr(of_class, name)
            if value is not None:  # a class without test images has no score
                yield _Value(f"the {name} of class {of_class.name!r}", value, 0, 1)
    for counts in record.test.confusion:
        yield _Value("the largest number of the confusion matrix", max(counts), 0, 1e15)
    yield _Value("the time in seconds", record.seconds, 0, math.inf)
    for number, epoch in enumerate(record.epochs, start=1):
        yield _Value(f"the number of epoch {number}", epoch.epoch, number, number)
        for part in ("train", "validation"):
            for name in ("loss", task.primary.name):
                bounded = next((one for one in task.metrics if one.name == name), None)
                given = getattr(epoch, f"{part}_{name}", None)
                if given is not None:
                    where = f"{part}_{name} of epoch {number}"
                    yield _bounded(where, given, bounded) if bounded else _Value(where, given, 0, math.inf)
        for name, high in (("input_share", 1.0), ("learning_rate", math.inf), ("seconds", math.inf)):
            if (given := getattr(epoch, name)) is not None:  # earlier versions recorded fewer
                yield _Value(f"{name} of epoch {number}", given, 0, high)
    yield _Value("best_epoch", record.best_epoch, 1, len(record.epochs))
