"""The record of `foveate explain --gates`: what the gates of attention do when they do not see the image."""

from enum import StrEnum

from pydantic import Field

from foveate.records.base import Count, Number, Record, Text
from foveate.records.examination import ExaminationRecord, Key, Row

__all__ = [
    "GATES",
    "GateRow",
    "GatesData",
    "GatesKey",
    "GatesRecord",
    "GatesSettingsRecord",
    "ReplacedScore",
    "Replacement",
    "SiteGate",
]

GATES = "gates"
"""The kind of the record; the file is gates.json."""


class Replacement(StrEnum):
    """What stands in the place of a gate: its mean over images, or the gate of another image.

    WHOLE is the mean over images alone (C · H · W numbers), CHANNEL that over positions as well (C numbers),
    SPATIAL that over channels as well (H · W numbers).
    """

    WHOLE = "whole"
    CHANNEL = "channel"
    SPATIAL = "spatial"
    SWAPPED = "swapped"


class GatesSettingsRecord(Record):
    """How the gates were examined.

    Attributes:
        margin: difference in accuracy, a share of the images, within which a gate counts as a constant.
        limit: largest number of test images, and of images for the means.
        batch_size: images per forward pass.
    """

    margin: Number
    limit: Count
    batch_size: Count


class GatesData(Record):
    """The test images: their origin, their fingerprint and their number."""

    about: Text
    fingerprint: Text
    images: Count


class GatesKey(Key):
    """Everything that decides the row of a network.

    Attributes:
        images: the fingerprint of the images.
        limit: largest number of images.
        definitions: the version of the definitions.
    """

    digest: Text = Field(validation_alias="network", serialization_alias="network")
    name: Text
    backbone: Text
    images: Text
    limit: Count
    batch_size: Count
    definitions: Count


class ReplacedScore(Record):
    """A network's accuracy with a gate replaced, and the images whose answer became wrong or right by it."""

    accuracy: Number
    lost: Count
    gained: Count


class SiteGate(Record):
    """A gate at one site of a network.

    Attributes:
        site: its name in `foveate sites`.
        path: of the attention in the network.
        factor: the name of the gate in the equations of its mechanism; None where the gate is that of the
            whole attention, its output divided by its input.
        mean: of the gate over images and elements.
        between_images: standard deviation of an element over images, the root of its mean square.
        share: of the variance of the gate that lies between images; None where the gate does not vary.
        channel_share: the same of its mean over positions.
        spatial_share: the same of its mean over channels.
        replaced: the scores with something else in its place.
    """

    site: Text
    path: Text
    factor: Text | None
    mean: Number
    between_images: Number
    share: Number | None
    channel_share: Number | None
    spatial_share: Number | None
    replaced: dict[Replacement, ReplacedScore]


class GateRow(Row):
    """The gates of one network.

    Attributes:
        accuracy: with all gates as they are.
        images: number of test images.
        means_of: the part whose images the means are over: "validation" or "training".
        mean_images: the number of these.
        gates: from the first site to the last.
        together: the scores with all gates of the network replaced at once.
    """

    key: GatesKey
    label: Text
    seed: Count | None
    backbone: Text
    accuracy: Number
    images: Count
    means_of: Text
    mean_images: Count
    gates: tuple[SiteGate, ...]
    together: dict[Replacement, ReplacedScore]


class GatesRecord(ExaminationRecord[GateRow]):
    """gates.json, written by `foveate explain --gates` and read by its report."""

    settings: GatesSettingsRecord
    data: GatesData
