"""The record of a finished run, checked at every reading: whose it is, and that its values are possible."""

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.errors import RequestError

__all__ = ["check_run_record", "spec_id"]

SHARES = ("accuracy", "precision", "recall", "f1", "ece")
EPOCH_SHARES = ("train_accuracy", "validation_accuracy", "input_share")
EPOCH_AMOUNTS = ("train_loss", "validation_loss", "learning_rate", "seconds", "images_per_second")
ROUNDING = 1e-6
"""Scores are means in float32: a share may lie this far outside of its bounds."""
REMEDY = "Delete the file and give the study's command again: the run is made anew."


@dataclass(frozen=True)
class Value:
    """A number of a record and the bounds that it must lie in; `name` says where it stands."""

    name: str
    given: Any
    low: float
    high: float

    @property
    def is_possible(self) -> bool:
        """Whether it is a finite number within its bounds."""
        number = isinstance(self.given, int | float) and not isinstance(self.given, bool)
        high = min(self.high + ROUNDING, sys.float_info.max)
        return number and self.low - ROUNDING <= self.given <= high

    @property
    def expected(self) -> str:
        """The bounds in words."""
        return f"from {self.low:g} to {self.high:g}" if self.high < math.inf else f"of at least {self.low:g}"


def spec_id(spec: Mapping[str, Any]) -> str:
    """Return the hash of a run's `spec` in plain values, which names the run's folder.

    Where the images lie does not matter, what they are does; nor does what a candidate is called.
    """
    content = json.loads(json.dumps(spec))
    for part, names in (("data", ("source",)), ("attention", ("alias", "backbone", "label"))):
        for name in names:
            content.get(part, {}).pop(name, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def check_run_record(record: Mapping[str, Any], path: Path, run: str | None = None) -> None:
    """Check that `record`, read from `path`, is that of the run it stands for, with possible values.

    `run` is the id of the run that is expected at `path`, where that is known.

    Raises:
        RequestError: the record is another run's, was changed, or has a value that cannot be.
    """
    try:
        spec, said = record["spec"], record["id"]
        found = spec_id(spec)
        label, seed = spec["attention"]["label"], spec["seed"]
        values = list(_values(record))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RequestError(
            f"{path} is not the record of a finished run ({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    if run is not None and said != run:
        raise RequestError(
            f"{path} is the record of another run: of {label}, seed {seed} (run {said}), and run {run} is "
            f"expected there. {REMEDY}"
        )
    if said != found:
        raise RequestError(
            f"{path} was changed: it names run {said}, and its spec is that of run {found}. {REMEDY}"
        )
    for value in values:
        if not value.is_possible:
            raise RequestError(
                f"{path}: {value.name} is {value.given!r}, expected a number {value.expected}. {REMEDY}"
            )


def _values(record: Mapping[str, Any]) -> Iterator[Value]:
    """Give every number that a report is made of."""
    test = record["test"]
    for name in SHARES:
        yield Value(f"the test {name}", test[name], 0, 1)
    yield Value("the test loss", test["loss"], 0, math.inf)
    for row in test["per_class"]:
        for name in SHARES[:-1]:
            if row[name] is not None:  # a class without test images has no score
                yield Value(f"the {name} of class {row['class']!r}", row[name], 0, 1)
        yield Value(f"the number of images of class {row['class']!r}", row["support"], 0, math.inf)
    for row in test["confusion"]:
        yield Value("the smallest number of the confusion matrix", min(row), 0, math.inf)
        yield Value("the largest number of the confusion matrix", max(row), 0, 1e15)
    yield Value("the time in seconds", record["seconds"], 0, math.inf)
    for number, row in enumerate(record["epochs"], start=1):
        for names, high in ((EPOCH_SHARES, 1.0), (EPOCH_AMOUNTS, math.inf)):
            for name in names:
                if name in row:  # earlier versions recorded fewer
                    yield Value(f"{name} of epoch {number}", row[name], 0, high)
        yield Value(f"the number of epoch {number}", row["epoch"], number, number)
    yield Value("best_epoch", record["best_epoch"], 1, len(record["epochs"]))
