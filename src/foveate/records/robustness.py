"""The record of `foveate robustness`: the scores of networks on corrupted and on attacked images."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from foveate.records.base import Count, JsonObject, Number, Record, Text
from foveate.records.examination import ExaminationRecord, Key, Row
from foveate.records.metric import CLASSIFICATION, Metric, TaskRecord
from foveate.records.run import Scores

__all__ = [
    "ATTACKS",
    "CLEAN",
    "COMMON",
    "ROBUSTNESS",
    "SEVERITIES",
    "UNATTACKED",
    "AttackKey",
    "AttackRow",
    "Condition",
    "ConditionRow",
    "CorruptionKey",
    "CorruptionRow",
    "DenseRow",
    "Gradients",
    "RobustnessData",
    "RobustnessRecord",
    "RobustnessRow",
    "RobustnessSettingsRecord",
    "stated_sigma",
]

ROBUSTNESS = "robustness"
"""The kind of the record; its file is robustness.json."""
CLEAN = "clean"
"""The name of the condition without a corruption."""
UNATTACKED = "none"
"""The name of the attack that leaves the images as they are."""
ATTACKS = ("fgsm", "pgd", "ensemble")
"""The adversarial attacks."""
SEVERITIES = (1, 2, 3, 4, 5)
"""The severities of every corruption except noise of a stated σ, which has none."""
# fmt: off
COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)
# fmt: on
"""The 15 corruptions that the mean corruption error is defined on (Hendrycks and Dietterich 2019)."""
NOISE = "noise_"

Condition = tuple[Text, Count | None]
"""The name of a corruption and its severity; None for clean images and for noise of a stated σ."""


def stated_sigma(corruption: str) -> str | None:
    """Return the σ in the name of a corruption ("15" of noise_15), or None if it has none."""
    return corruption.removeprefix(NOISE) if corruption.startswith(NOISE) else None


class RobustnessSettingsRecord(Record):
    """The settings of the command."""

    corruptions: tuple[Text, ...] = ()
    severities: tuple[Count, ...] = ()
    noise: tuple[Number, ...] = ()
    prepared: Text | None = None
    classes: Text | None = None
    attacks: tuple[Text, ...] = ()
    eps: tuple[Number, ...] = ()
    attack_images: Count | None = None
    images: Count | None = None
    batch_size: Count | None = None
    seed: Count | None = None


class RobustnessData(Record):
    """The clean test images; `prepared` is the folder of images that were corrupted elsewhere.

    `content_fingerprint` is present only if `fingerprint` is of names and sizes, as in foveate 0.1.0.
    `short_sides` are the smallest and the largest short side of the tested images in pixels, of a detection
    or a segmentation, where images have sizes of their own and are corrupted as they are stored.
    """

    name: Text
    classes: tuple[Text, ...] = ()
    image_size: Count | None = None
    test: Count | None = None
    fingerprint: Text = ""
    content_fingerprint: Text | None = None
    prepared: Text | None = None
    short_sides: tuple[Count, Count] | None = None


class CorruptionKey(Key):
    """Everything that decides the scores of a network under one corruption.

    Attributes:
        name: of the network, which the file calls "network".
        digest: of its weights.
        data: fingerprint of the clean images, or of the prepared ones.
        images: the largest number of images; None: all of them.
        batch_size: decides the random numbers of a classification, and how a segmentation pads images of
            several sizes; absent, as the next two, if the images were prepared.
        seed: of the random numbers.
        definitions: version of the corruptions.
    """

    corruption: Text
    severity: Count | None
    name: Text = Field(alias="network")
    digest: Text
    data: Text = ""
    images: Count | None = None
    batch_size: Count | None = None
    seed: Count | None = None
    definitions: Count | None = None
    device: Text = ""


class AttackKey(Key):
    """Everything that decides the scores of a network under one attack.

    Attributes:
        eps: in units of 1/255; None for images that are not attacked.
        name: of the network, which the file calls "network".
        digest: of its weights.
        data: fingerprint of the images.
        images: number of images.
        split: the images: seed, validation share and training share of the run, or "test" alone.
        seed: of the random numbers.
    """

    attack: Text
    eps: Number | None
    name: Text = Field(alias="network")
    digest: Text
    data: Text = ""
    images: Count | None = None
    split: tuple[Text | Number, ...] = ()
    batch_size: Count | None = None
    seed: Count | None = None
    device: Text = ""


class ScoredRow(Row):
    """The scores of a network on one set of images; None if there was no image."""

    accuracy: Number | None
    loss: Number | None
    ece: Number | None
    images: Count

    def value(self, metric: Metric) -> float | None:
        """Return the value of a metric of classification; None without an image."""
        value = getattr(self, metric.name)
        return None if value is None else float(value)


class CorruptionRow(ScoredRow):
    """The scores under one corruption.

    Attributes:
        unreadable: number of prepared images that could not be read; absent if all could.
        unreadable_some: the first of these, with the reason.
    """

    key: CorruptionKey
    unreadable: Count = 0
    unreadable_some: tuple[Text, ...] = ()


class DenseRow(Row):
    """The scores of a detector or a segmenter under one corruption.

    Attributes:
        scores: a number for each metric of the task, without those of classes.
        images: number of images.
    """

    key: CorruptionKey
    scores: Scores
    images: Count

    def value(self, metric: Metric) -> float | None:
        """Return the value of `metric`; None where the images have nothing to measure it on."""
        return self.scores.value_if_any(metric)


ConditionRow = CorruptionRow | DenseRow
"""A row of the images under one corruption, or of the clean ones."""


class Gradients(Record):
    """The numbers of images whose gradient of the loss is useless to an attack."""

    zero: Count
    not_finite: Count


class AttackRow(ScoredRow):
    """The scores under one attack.

    Attributes:
        gradients: in the row of the images that are not attacked.
        parts: the accuracy after each part of the attack.
    """

    key: AttackKey
    gradients: Gradients | None = None
    parts: dict[Text, Number] = Field(default_factory=dict)


def _kind_of_row(row: Any) -> str:
    if isinstance(row, Row):
        kinds = {AttackRow: "attack", DenseRow: "dense"}
        return kinds.get(type(row), "corruption")
    key = row.get("key") if isinstance(row, dict) else None
    if isinstance(key, dict) and "attack" in key:
        return "attack"
    return "dense" if isinstance(row, dict) and "scores" in row else "corruption"


RobustnessRow = Annotated[
    Annotated[CorruptionRow, Tag("corruption")]
    | Annotated[DenseRow, Tag("dense")]
    | Annotated[AttackRow, Tag("attack")],
    Discriminator(_kind_of_row),
]
"""A row of the record; its key has a corruption or an attack. A dense one has its numbers in "scores"."""


class RobustnessRecord(ExaminationRecord[RobustnessRow]):
    """robustness.json, written by `foveate robustness` and read by its report.

    Attributes:
        conditions: the requested corruptions and severities, without the clean images.
        task: of the networks; absent if it is classification.
    """

    settings: RobustnessSettingsRecord
    data: RobustnessData
    conditions: tuple[Condition, ...] | None = None
    task: TaskRecord = CLASSIFICATION

    @property
    def corruption_rows(self) -> list[ConditionRow]:
        """The rows on corrupted and on clean images."""
        return [row for row in self.rows if isinstance(row, ConditionRow)]

    @property
    def attack_rows(self) -> list[AttackRow]:
        """The rows on attacked images, and on the same images without an attack."""
        return [row for row in self.rows if isinstance(row, AttackRow)]

    @model_serializer(mode="wrap")
    def _write_in_order(self, serialize: SerializerFunctionWrapHandler) -> JsonObject:
        """Write the conditions after the data; by default they would follow the fields of the base class."""
        content = serialize(self)
        if self.task == CLASSIFICATION:
            content.pop("task", None)
        head = (
            "format",
            "foveate",
            "kind",
            "command",
            "environment",
            "task",
            "settings",
            "data",
            "conditions",
        )
        return {key: content[key] for key in (*head, *content) if key in content}
