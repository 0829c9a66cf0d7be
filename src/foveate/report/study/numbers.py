"""The numbers behind the tables and the curves, one flat row each, for CSV."""

from collections.abc import Iterator
from dataclasses import asdict

from foveate.evaluation.statistics import Description
from foveate.records.run import CLASS_SCORES
from foveate.records.study import StudyRecords
from foveate.report.study.confusions import Confusions
from foveate.report.study.summary import Summary

__all__ = ["class_numbers", "confusion_numbers", "curve_numbers", "row_numbers", "test_numbers"]

Row = dict[str, object]


def row_numbers(summary: Summary) -> Iterator[Row]:
    """Give the rows of the summary, with each mean, deviation and interval in a column of its own."""
    for row in summary.rows:
        content: dict[str, object] = {"attention": row.attention, "runs": row.runs}
        for name, described in row.scores.items():
            content |= _described(name, described)
        price = asdict(row.price)
        for name, value in price.items():
            content |= _ends(name, value) if name.endswith("_ci95") else {name: value}
        content["efficiency_score"] = row.efficiency_score
        for name in ("epochs_to_95", "fluctuation", "input_share", "train_seconds"):
            content |= _described(name, getattr(row, name))
        content["still_improving"] = row.still_improving
        yield content


def test_numbers(summary: Summary) -> Iterator[Row]:
    """Give the comparisons, with both ends of the interval in a column of their own."""
    for test in summary.comparisons:
        row: Row = test.to_json()
        del row["ci95"]
        yield row | _ends("ci95", test.test.ci95)


def curve_numbers(records: StudyRecords) -> Iterator[Row]:
    """Give each epoch of each run, without the learned numbers of each site."""
    for label, seed, run in records.runs():
        for epoch in run.epochs:
            row = {"attention": label, "seed": seed, **epoch.to_json(), "input_share": epoch.input_share}
            row.pop("learned", None)
            yield row


def class_numbers(records: StudyRecords) -> Iterator[Row]:
    """Give each class of each run; a class without test images has no scores."""
    for label, seed, run in records.runs():
        for of_class in run.test.per_class:
            row = {"attention": label, "seed": seed, **of_class.to_json()}
            if not of_class.support:  # foveate 0.1.0 recorded zeros
                row |= dict.fromkeys(CLASS_SCORES)
            yield row


def confusion_numbers(confusions: Confusions) -> Iterator[Row]:
    """Give each cell of each run's confusion matrix that is not zero."""
    for label, seed, true, predicted, number in confusions.cells():
        yield {"attention": label, "seed": seed, "true": true, "predicted": predicted, "count": number}


def _described(name: str, described: Description) -> Row:
    return {
        f"{name}_mean": described.mean,
        f"{name}_std": described.std,
        **_ends(f"{name}_ci95", described.ci95),
    }


def _ends(name: str, bounds: tuple[float, float] | None) -> Row:
    low, high = bounds or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
