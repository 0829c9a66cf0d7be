"""The numbers behind the tables and the curves, one flat dict a row, for CSV."""

from collections.abc import Iterator
from typing import Any

from foveate.records.study import Records

__all__ = ["class_numbers", "confusion_numbers", "curve_numbers", "row_numbers", "test_numbers"]

SCORES = ("accuracy", "precision", "recall", "f1")


def row_numbers(summary: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the rows with each mean, deviation and interval in a column of its own."""
    for row in summary["rows"]:
        flat: dict[str, Any] = {}
        for key, value in row.items():
            if isinstance(value, dict):
                low, high = value["ci95"] or (None, None)
                flat |= {f"{key}_mean": value["mean"], f"{key}_std": value["std"]}
                flat |= {f"{key}_ci95_low": low, f"{key}_ci95_high": high}
            elif key.endswith("_ci95"):
                flat[f"{key}_low"], flat[f"{key}_high"] = value or (None, None)
            else:
                flat[key] = value
        yield flat


def test_numbers(summary: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the tests with both ends of the interval in a column of their own."""
    for test in summary["tests"]:
        low, high = test["ci95"] or (None, None)
        flat = {key: value for key, value in test.items() if key != "ci95"}
        yield flat | {"ci95_low": low, "ci95_high": high}


def curve_numbers(records: Records) -> Iterator[dict[str, Any]]:
    """Give each epoch of each run, but for the learned numbers of each site."""
    for label, seed, result in _runs(records):
        for epoch in result["epochs"]:
            row = {"attention": label, "seed": seed, **epoch, "input_share": epoch.get("input_share")}
            row.pop("learned", None)
            yield row


def class_numbers(records: Records) -> Iterator[dict[str, Any]]:
    """Give each class of each run."""
    for label, seed, result in _runs(records):
        for of_class in result["test"]["per_class"]:
            row = {"attention": label, "seed": seed, **of_class}
            # Without test images a class has no scores; foveate 0.1.0 recorded zeros for them.
            nothing = {} if of_class.get("support", 1) else dict.fromkeys(SCORES)
            yield row | {key: value for key, value in nothing.items() if key in row}


def confusion_numbers(records: Records) -> Iterator[dict[str, Any]]:
    """Give each cell of each run's confusion matrix that is not zero."""
    classes = records.study["data"]["classes"]
    for label, seed, result in _runs(records):
        for true, row in zip(classes, result["test"]["confusion"], strict=True):
            for predicted, found in zip(classes, row, strict=True):
                if found:
                    yield {
                        "attention": label,
                        "seed": seed,
                        "true": true,
                        "predicted": predicted,
                        "count": found,
                    }


def _runs(records: Records) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for label in records.finished:
        for seed in sorted(records.results[label]):
            yield label, seed, records.results[label][seed]
