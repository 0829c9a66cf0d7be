"""The metrics of a task: how their values are compared and written."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from foveate.notation import NOTHING, decimals, interval
from foveate.records.base import Number, Switch, Text, WholeRecord

__all__ = ["CLASSIFICATION", "DETECTION", "LOSS", "SEGMENTATION", "TASK_RECORDS", "Metric", "TaskRecord"]

Unit = Literal["percent", "number"]


class Metric(WholeRecord):
    """A number by which networks are compared.

    Attributes:
        name: the key in records: "accuracy".
        title: the title that a person reads, without a unit: "F1".
        unit: "percent" for a fraction (differences are then in points), or "number".
        higher_is_better: False for a loss or an error.
        low: the lowest possible value; None is no bound.
        high: the highest possible value; None is no bound.
        digits: the number of decimals that a person reads.
        note: how to read the value, in one sentence.
        best: the words for the candidate with the best value.
        may_be_missing: whether a record may lack it, where the test part has nothing to measure it on.
    """

    name: Text
    title: Annotated[Text, Field(min_length=1)]
    unit: Unit = "percent"
    higher_is_better: bool = True
    low: Number | None = 0
    high: Number | None = 1
    digits: Annotated[int, Field(ge=0, le=12)] = 2
    note: Text = ""
    best: Text = "the best"
    may_be_missing: Switch = False

    @property
    def sign(self) -> int:
        """1 if a larger value is better, else -1; `sign * difference` is the gain."""
        return 1 if self.higher_is_better else -1

    @property
    def superlative(self) -> str:
        """The word for the best of several means: "highest" or "lowest"."""
        return "highest" if self.higher_is_better else "lowest"

    @property
    def scale(self) -> int:
        """The factor from the value in records to the value that a person reads."""
        return 100 if self.unit == "percent" else 1

    @property
    def heading(self) -> str:
        """The title with its unit, as the head of a column."""
        return self._in_percent(self.title)

    @property
    def lower_heading(self) -> str:
        """The heading in lower case, for terminals."""
        return self._in_percent(self.noun)

    def heading_on(self, part: str) -> str:
        """Return the heading of values on a part of the data: "Validation accuracy, %"."""
        return self._in_percent(f"{part} {self.noun}")

    @property
    def noun(self) -> str:
        """The title as it stands within a sentence: "accuracy", "F1"."""
        first = self.title.split()[0]
        is_word = first.isalpha() and first[1:].islower()
        return self.title[:1].lower() + self.title[1:] if is_word else self.title

    @property
    def unit_of_differences(self) -> str:
        """The unit of differences; "" for a number without one."""
        return "points" if self.unit == "percent" else ""

    def heading_of_difference(self, quantity: str) -> str:
        """Return the head of a column of differences: "Gain, points"."""
        return f"{quantity}, {self.unit_of_differences}" if self.unit_of_differences else quantity

    def gains(self, differences: Sequence[float]) -> list[float]:
        """Return an interval of differences as an interval of gains."""
        return sorted(self.sign * difference for difference in differences)

    def write(self, value: float | None) -> str:
        """Write a value without its unit."""
        return decimals(value, self.digits, scale=self.scale)

    def write_with_unit(self, value: float) -> str:
        """Write a value with its unit: "97.50 %"."""
        return f"{self.write(value)}{' %' if self.unit == 'percent' else ''}"

    def write_interval(self, bounds: Sequence[float] | None) -> str:
        """Write an interval of values or of differences."""
        return interval(bounds, self.digits, scale=self.scale)

    def write_difference(self, difference: float | None) -> str:
        """Write a difference of two values with its sign."""
        return decimals(difference, self.digits, scale=self.scale, signed=True)

    def write_size(self, difference: float) -> str:
        """Write how large a difference is, without its sign: "2.16 points"."""
        return self.with_unit(decimals(abs(difference), self.digits, scale=self.scale))

    def with_unit(self, difference: str) -> str:
        """Return a written difference with its unit."""
        return f"{difference} {self.unit_of_differences}".rstrip()

    def can_differ_by(self, difference: float) -> bool:
        """Return whether two values can differ by `difference`."""
        return self.low is None or self.high is None or difference < self.high - self.low

    def write_detectable(self, difference: float | None) -> str:
        """Write a smallest detectable difference; "none" if no two values can differ by that much."""
        if difference is None:
            return NOTHING
        return (
            decimals(difference, self.digits, scale=self.scale) if self.can_differ_by(difference) else "none"
        )

    def _in_percent(self, heading: str) -> str:
        return f"{heading}, %" if self.unit == "percent" else heading


LOSS = Metric(name="loss", title="Loss", unit="number", higher_is_better=False, high=None, digits=3)
"""What all trainings lower; tasks say what it is."""
ACCURACY = Metric(name="accuracy", title="Accuracy", best="the most accurate")
ACCURACY_OF_CLASS = Metric(
    name="accuracy", title="Accuracy", note="Share of the class's test images that it gets right."
)


def _loss(what: str) -> Metric:
    """Return the loss as a metric of a task; `what` says which loss it is."""
    note = f"{what} on the test part; below, ± standard deviation over seeds."
    return LOSS.model_copy(update={"note": note})


class TaskRecord(WholeRecord):
    """The task of the networks of a study: its name, and its metrics, the primary one first.

    Attributes:
        of_class: the metric of a single class by which classes are compared, a field of `ClassScores`.
        counted: what the support of a class counts: "images", "boxes" or "pixels".
        is_measured_in_training: whether each epoch has the primary metric on the training part, too.
    """

    name: Text
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    of_class: Metric = ACCURACY_OF_CLASS
    counted: Text = "images"
    is_measured_in_training: Switch = True

    @property
    def primary(self) -> Metric:
        """The metric by which candidates are compared."""
        return self.metrics[0]


CLASSIFICATION = TaskRecord(
    name="classification",
    metrics=(
        ACCURACY,
        _loss("Cross-entropy"),
        Metric(
            name="precision",
            title="Precision",
            note="Share of the answers naming a class that are right, averaged over classes.",
        ),
        Metric(
            name="recall",
            title="Recall",
            note="Share of a class's images that are found, averaged over classes.",
        ),
        Metric(name="f1", title="F1", note="Harmonic mean of precision and recall, averaged over classes."),
        Metric(
            name="ece",
            title="Calibration error",
            higher_is_better=False,
            note="Expected gap between confidence and accuracy (ECE); 0 is best.",
        ),
    ),
)
"""The task of a study whose record names none; records of classification do not name it."""

DETECTION = TaskRecord(
    name="detection",
    metrics=(
        Metric(
            name="map",
            title="mAP",
            note="Average precision of COCO: the mean over classes and ten thresholds of IoU, 0.50 to 0.95.",
        ),
        Metric(name="map50", title="mAP50", note="Average precision at an IoU of 0.50."),
        Metric(name="map75", title="mAP75", note="Average precision at an IoU of 0.75."),
        Metric(
            name="map_small",
            title="mAP small",
            note="mAP of objects under 32×32 pixels.",
            may_be_missing=True,
        ),
        Metric(
            name="map_medium",
            title="mAP medium",
            note="mAP of objects from 32×32 to 96×96 pixels.",
            may_be_missing=True,
        ),
        Metric(
            name="map_large",
            title="mAP large",
            note="mAP of objects over 96×96 pixels.",
            may_be_missing=True,
        ),
        Metric(
            name="mar100",
            title="AR",
            note="Average recall with at most 100 detections of a class in an image, same thresholds.",
        ),
    ),
    of_class=Metric(
        name="ap", title="AP", note="Average precision of the class, over ten thresholds of IoU."
    ),
    counted="boxes",
    is_measured_in_training=False,
)
"""Object detection, evaluated as COCO does (Lin et al. 2014). mAP of a size is None without such objects."""

SEGMENTATION = TaskRecord(
    name="segmentation",
    metrics=(
        Metric(
            name="miou",
            title="mIoU",
            note="Intersection over union of a class over all test images together, averaged over classes.",
        ),
        Metric(name="dice", title="Dice", note="The same with the Dice coefficient of each class."),
        Metric(
            name="pixel_accuracy", title="Pixel accuracy", note="Share of the labelled pixels that are right."
        ),
        _loss("The loss of the recipe"),
    ),
    of_class=Metric(name="iou", title="IoU", note="Intersection over union of the class's pixels."),
    counted="pixels",
)
"""Semantic segmentation; all but the loss come from one confusion matrix over the test part."""

TASK_RECORDS = {record.name: record for record in (CLASSIFICATION, DETECTION, SEGMENTATION)}
"""The tasks by name; the spec of a classification does not name it."""
