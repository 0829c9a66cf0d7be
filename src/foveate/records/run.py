"""The record of a finished run: result.json."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Annotated

from pydantic import Field, model_validator

from foveate.records.base import Count, Json, Number, Record, Switch, Text
from foveate.records.environment import Environment
from foveate.records.metric import Metric

__all__ = [
    "CLASS_SCORES",
    "DENSE_CLASS_SCORES",
    "ClassScores",
    "Epoch",
    "RunData",
    "RunRecord",
    "Scores",
    "spec_id",
    "waiting_share",
]

CLASS_SCORES = ("accuracy", "precision", "recall", "f1")
"""The fields of `ClassScores` that a classification has; they are None for a class without test images."""
DENSE_CLASS_SCORES = ("ap", "ap50", "iou", "dice")
"""Those that a detection or a segmentation has."""


UNHASHED = {
    "data": ("source",),
    "attention": ("alias", "backbone", "label", "path"),
    "weights": ("path", "image_size"),
}
"""The keys of each part of a run's spec that its hash does not depend on."""


def _number_if_any(record: Record, name: str) -> float | None:
    value = getattr(record, name, None)
    return None if value is None else float(value)


def _required(value: float | None, name: str) -> float:
    if value is None:
        raise ValueError(f"the record has no {name}")
    return value


class ClassScores(Record):
    """The scores of one class; they are None if the test part has none of it, or the task has no such score.

    A detection has `ap` and `ap50`, and `support` counts boxes; a segmentation has `iou`, `dice` and
    `accuracy`, the share of the class's pixels that are found, and `support` counts pixels; the others are a
    classification's. For such a class foveate 0.1.0 recorded 0; `score` is None for it as well.
    """

    name: Text = Field(alias="class")
    accuracy: Number | None = None
    precision: Number | None = None
    recall: Number | None = None
    f1: Number | None = None
    ap: Number | None = None
    ap50: Number | None = None
    iou: Number | None = None
    dice: Number | None = None
    support: Count

    def score(self, metric: Metric) -> float | None:
        """Return the value of `metric`, or None if the test part has none of the class."""
        value = getattr(self, metric.name)
        return float(value) if self.support and value is not None else None


class Scores(Record):
    """The scores of a network on the test part: a number for each metric of the task, by its name.

    Attributes:
        per_class: a row for each class.
        confusion: images (a classification) or pixels (a segmentation) by true class (row) and predicted
            class (column); empty for a detection.
    """

    accuracy: Number | None = None
    loss: Number | None = None
    precision: Number | None = None
    recall: Number | None = None
    f1: Number | None = None
    ece: Number | None = None
    map: Number | None = None
    map50: Number | None = None
    map75: Number | None = None
    map_small: Number | None = None
    map_medium: Number | None = None
    map_large: Number | None = None
    mar100: Number | None = None
    miou: Number | None = None
    dice: Number | None = None
    pixel_accuracy: Number | None = None
    per_class: tuple[ClassScores, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] = ()

    def value(self, metric: Metric) -> float:
        """Return the value of `metric`, one that every record of the task has.

        Raises:
            ValueError: the record lacks it, as it may where `metric.may_be_missing`.
        """
        return _required(self.value_if_any(metric), metric.name)

    def value_if_any(self, metric: Metric) -> float | None:
        """Return the value of `metric`; None where the test part has nothing to measure it on."""
        return _number_if_any(self, metric.name)

    @model_validator(mode="after")
    def _check_confusion(self) -> "Scores":
        classes = len(self.per_class)
        if self.map is not None and not self.confusion:
            return self
        if {len(self.confusion), *map(len, self.confusion)} - {classes}:
            raise ValueError(f"confusion is not {classes} × {classes}, and there are as many classes")
        return self


class Epoch(Record):
    """One epoch of a training: loss and primary metric on both parts, speed, and learned scalars.

    A detector gives no loss in evaluation and no detections in training: `validation_loss` and the primary
    metric of the training part are None.
    """

    epoch: Count
    validation_loss: Number | None = None
    validation_accuracy: Number | None = None
    validation_map: Number | None = None
    validation_miou: Number | None = None
    train_loss: Number
    train_accuracy: Number | None = None
    train_miou: Number | None = None
    learning_rate: Number | None = None
    seconds: Number | None = None
    images_per_second: Number | None = None
    input_share: Number | None = None
    learned: dict[Text, dict[Text, Number]] = Field(default_factory=dict)

    def validation(self, metric: Metric) -> float:
        """Return the value of `metric` on the validation part.

        Raises:
            ValueError: it is not recorded, as a detection's loss.
        """
        return _required(self.validation_if_any(metric), f"validation_{metric.name}")

    def training_if_any(self, metric: Metric) -> float | None:
        """Return the value of `metric` on the training part; None where it is not measured there."""
        return _number_if_any(self, f"train_{metric.name}")

    def validation_if_any(self, metric: Metric) -> float | None:
        """Return the value of `metric` on the validation part; None where it is not measured there."""
        return _number_if_any(self, f"validation_{metric.name}")


class RunData(Record):
    """The numbers of images of a run; `greys` are the values that became 0 and 255, if over 8 bits."""

    train: Count
    validation: Count
    test: Count
    greys: tuple[Number, Number] | None = None


class RunRecord(Record):
    """OUT/runs/ID/result.json: the spec of a run and its results.

    A run writes it last, so that it marks the run as finished. Reports, and whatever loads a trained network,
    read it with `read_run`.

    Attributes:
        id: the hash of `spec`, and the name of the folder.
        spec: the spec of the run in JSON values.
        test: the scores on the test part, with the weights of `best_epoch`.
        seconds: of the training.
        weights_sha256: of weights.safetensors beside it; foveate 0.1.0 did not record it.
    """

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
    """Return the mean share of the training time that was spent waiting for images, if it is recorded."""
    shares = [epoch.input_share for epoch in epochs if epoch.input_share is not None]
    return fmean(shares) if shares else None


def spec_id(spec: Mapping[str, Json]) -> str:
    """Return the hash of a run's `spec`, which names the run's folder.

    It does not depend on the path of the images, which their fingerprint replaces, on the path of pretrained
    weights, which their checksum replaces, nor on labels.
    """
    content = json.loads(json.dumps(spec))
    for part, names in UNHASHED.items():
        for name in names:
            content.get(part, {}).pop(name, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
