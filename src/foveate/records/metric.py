"""A metric: what a task measures on images, as reports, statistics and verdicts need to know it."""

from typing import Literal

from foveate.records.base import Number, Text, WholeRecord

__all__ = ["CLASSIFICATION", "Metric", "TaskRecord"]

Unit = Literal["percent", "number"]


class Metric(WholeRecord):
    """A number by which networks are compared.

    Attributes:
        name: the key in records, such as "accuracy".
        title: what a person reads, without a unit, such as "F1".
        unit: "percent" of a fraction (differences are then in points), or a plain "number".
        higher_is_better: False of a loss or an error.
        low: the lowest value that there can be; None is no bound.
        high: the highest value that there can be; None is no bound.
        digits: behind the point, where a person reads the value.
    """

    name: Text
    title: Text
    unit: Unit = "percent"
    higher_is_better: bool = True
    low: Number | None = 0
    high: Number | None = 1
    digits: int = 2

    @property
    def sign(self) -> int:
        """1 where a larger value is better, -1 where a smaller one is: `sign * difference` is the gain."""
        return 1 if self.higher_is_better else -1

    @property
    def scale(self) -> int:
        """The factor from the value in records to what a person reads."""
        return 100 if self.unit == "percent" else 1

    @property
    def heading(self) -> str:
        """The title with its unit, as the head of a column."""
        return f"{self.title}, %" if self.unit == "percent" else self.title

    @property
    def unit_of_differences(self) -> str:
        """The unit of differences in words; "" of a plain number."""
        return "points" if self.unit == "percent" else ""

    def is_better(self, difference: float) -> bool:
        """Return whether a value that is larger by `difference` is the better one."""
        return self.sign * difference > 0


class TaskRecord(WholeRecord):
    """What networks were trained to do: the name of the task, and its metrics, the primary one first."""

    name: Text
    metrics: tuple[Metric, ...]

    @property
    def primary(self) -> Metric:
        """The metric by which candidates are compared."""
        return self.metrics[0]


CLASSIFICATION = TaskRecord(
    name="classification",
    metrics=(
        Metric(name="accuracy", title="Accuracy"),
        Metric(name="loss", title="Loss", unit="number", higher_is_better=False, high=None, digits=3),
        Metric(name="precision", title="Precision"),
        Metric(name="recall", title="Recall"),
        Metric(name="f1", title="F1"),
        Metric(name="ece", title="Calibration error", higher_is_better=False),
    ),
)
"""The task of a study whose record names none, which is how studies of classification are written."""
