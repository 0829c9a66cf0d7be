"""The record of `foveate transfer`: the scores of networks on another data set than their own."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from foveate.records.base import Count, Json, Number, Record, Text
from foveate.records.examination import ExaminationRecord, Key, Row
from foveate.records.run import ClassScores

__all__ = [
    "WAYS",
    "DirectKey",
    "DirectRow",
    "ProbeKey",
    "ProbeRow",
    "TransferData",
    "TransferKey",
    "TransferRecord",
    "TransferRow",
    "TransferSettingsRecord",
    "TunedKey",
    "TunedRow",
    "Way",
    "transfer_kind",
]

Way = Literal["direct", "probe", "finetune", "attached"]
"""How a network was transferred; "attached" is fine-tuning with a mechanism attached to the baseline."""
WAYS: tuple[Way, ...] = ("direct", "probe", "finetune", "attached")
"""All ways, in the order of tables."""

Pair = tuple[tuple[Text, ...], tuple[Text, ...]]
"""Classes of the target, and the classes of the source that they are matched with."""


def transfer_kind(name: str) -> str:
    """Return the kind of the record of transfers to the images called `name`; its file is KIND.json."""
    return f"transfer-{''.join(c if c.isalnum() or c in '_-' else '-' for c in name)}"


class TransferSettingsRecord(Record):
    """The settings of the command; `recipe` is the whole recipe if networks are fine-tuned."""

    to: Text
    how: tuple[Text, ...]
    classes: Text | None
    attach: tuple[Text, ...]
    recipe: Text | dict[str, Json] | None
    changes: dict[str, Json]
    images: Count | None
    train_fraction: Number
    seeds: Count
    batch_size: Count
    image_column: Text | None
    label_column: Text | None


class TransferData(Record):
    """The images that networks are transferred to: the target.

    `content_fingerprint` is present only if `fingerprint` is of names and sizes, as in foveate 0.1.0.
    """

    name: Text
    source: Text
    classes: tuple[Text, ...]
    train: Count
    test: Count
    fingerprint: Text
    content_fingerprint: Text | None = None
    notes: tuple[Text, ...]


class TransferKey(Key):
    """Everything that decides a row, for every way.

    Attributes:
        label: the label of the mechanism, or of the attached one.
        data: the fingerprint of the target.
        images: number of its test images.
    """

    way: Way
    label: Text
    seed: Count | None
    backbone: Text
    name: Text = Field(validation_alias="network", serialization_alias="network")
    digest: Text
    data: Text
    images: Count


class DirectKey(TransferKey):
    """The key of the direct way: the network is used unchanged."""

    way: Literal["direct"]
    classes: tuple[Pair, ...]


class ProbeKey(TransferKey):
    """The key of a linear probe; `train_fraction` is the share of the training part that it used."""

    way: Literal["probe"]
    train_fraction: Number


class TunedKey(TransferKey):
    """The key of a fine-tuning; `run` names its folder."""

    way: Literal["finetune", "attached"]
    run: Text


class TransferRow(Row):
    """Scores on the target's test part.

    Attributes:
        chance: the accuracy of guessing.
        images: number of scored test images.
    """

    key: TransferKey
    accuracy: Number
    loss: Number
    precision: Number
    recall: Number
    f1: Number
    ece: Number
    per_class: tuple[ClassScores, ...]
    chance: Number
    images: Count


class DirectRow(TransferRow):
    """The scores of an unchanged network, among the classes that both sets have."""

    key: DirectKey


class ProbeRow(TransferRow):
    """The scores of a linear probe.

    Attributes:
        c: the inverse of the penalty's weight, chosen on the validation part.
        features: number of features.
        trained_on: number of training images.
    """

    key: ProbeKey
    c: Number
    validation_accuracy: Number
    features: Count
    trained_on: Count


class TunedRow(TransferRow):
    """The scores of a fine-tuned network; `trained_on` is the number of training images."""

    key: TunedKey
    trained_on: Count
    validation_accuracy: Number
    best_epoch: Count
    seconds: Number


def _kind_of_row(row: Any) -> str | None:
    """Return the way of a row, which decides its type; a row that is read is a dict."""
    if isinstance(row, TransferRow):
        return row.key.way
    key = row.get("key") if isinstance(row, dict) else None
    return key.get("way") if isinstance(key, dict) else None


AnyRow = Annotated[
    Annotated[DirectRow, Tag("direct")]
    | Annotated[ProbeRow, Tag("probe")]
    | Annotated[TunedRow, Tag("finetune")]
    | Annotated[TunedRow, Tag("attached")],
    Discriminator(_kind_of_row),
]


class TransferRecord(ExaminationRecord[TransferRow]):
    """transfer-NAME.json for the target NAME, written by `foveate transfer` and read by its report."""

    settings: TransferSettingsRecord
    data: TransferData
    rows: tuple[AnyRow, ...] = ()
    kept: tuple[AnyRow, ...] = ()
