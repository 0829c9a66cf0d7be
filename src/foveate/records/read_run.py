"""Read the record of a finished run, and check its identity and that its values are possible."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foveate.errors import RequestError
from foveate.names import map_strings, printable
from foveate.records.base import JsonObject, Record, parse_record, refusal
from foveate.records.files import read_json
from foveate.records.labels import display_name
from foveate.records.metric import CLASSIFICATION, TASK_RECORDS, Metric, TaskRecord
from foveate.records.run import CLASS_SCORES, DENSE_CLASS_SCORES, RunRecord, spec_id

__all__ = ["read_run"]

ROUNDING = 1e-6
"""Scores are means in float32: a share may exceed its bounds by this much."""
REMEDY = "Delete the file and give the study's command again: the run is made again."


def read_run(
    path: Path, run: str | None = None, task: TaskRecord | None = None, *, shown: bool = False
) -> RunRecord:
    """Read the record of a finished run at `path`; `shown` is that of `read_record`.

    Args:
        run: the id that is expected at `path`, if it is known.
        task: the task of the run, by default that of its spec; the record must have each of its metrics.

    Raises:
        RequestError: it is no record or another run's, was changed, or has an impossible value.
    """
    content = read_json(path)
    record = parse_record(RunRecord, map_strings(content, printable) if shown else content, path)
    _check_identity(record, content["spec"], path, run)
    task = task or TASK_RECORDS.get(str(record.spec.get("task")), CLASSIFICATION)
    _check_metrics(record, path, task)
    for value in _values(record, task):
        if not value.is_possible:
            raise RequestError(
                f"{path}: {value.name} is {value.given!r}, expected a number {value.expected}. {REMEDY}"
            )
    return record


def _check_identity(record: RunRecord, spec: JsonObject, path: Path, run: str | None) -> None:
    """Refuse the record of another run; `spec` is as it stands in the file, of which the id is the hash."""
    try:
        found = spec_id(spec)
        label, seed = spec["attention"]["label"], spec["seed"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RequestError(
            f"{path} is not the record of a finished run ({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    if run is not None and record.id != run:
        raise RequestError(
            f"{path} is the record of another run: of {display_name(str(label))}, seed {seed} "
            f"(run {record.id}), and run {run} is expected there. {REMEDY}"
        )
    if record.id != found:
        raise RequestError(
            f"{path} was changed: it names run {record.id}, and its spec is that of run {found}. {REMEDY}"
        )


def _check_metrics(record: RunRecord, path: Path, task: TaskRecord) -> None:
    """Refuse a record that lacks a metric of `task`; the record types require none of them."""
    parts = ("train", "validation") if task.is_measured_in_training else ("validation",)
    epoch_names = [f"{part}_{task.primary.name}" for part in parts]
    asked: list[tuple[str, Record, str]] = [
        ("test", record.test, metric.name)
        for metric in task.metrics
        if not (metric.may_be_missing and getattr(record.test, metric.name, None) is None)
    ]
    asked += [(f"epochs.{n}", epoch, name) for n, epoch in enumerate(record.epochs) for name in epoch_names]
    for where, part, name in asked:
        value = getattr(part, name, None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError(refusal(path, f"{where}.{name}: expected a number, a metric of {task.name}"))


@dataclass(frozen=True)
class _Value:
    """A number in a record and its bounds; `name` says which number it is."""

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
    """Yield every number that a report uses."""
    for metric in task.metrics:
        measured = getattr(record.test, metric.name, None)
        if measured is not None:
            yield _bounded(f"the test {metric.name}", measured, metric)
    for of_class in record.test.per_class:
        for name in (*CLASS_SCORES, *DENSE_CLASS_SCORES):
            value = getattr(of_class, name)
            if value is not None:  # another task's, or of a class that the test part lacks
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
