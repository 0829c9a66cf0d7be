"""The record of `foveate explain`: the scores of class activation maps, and what attention learned."""

from pydantic import Field

from foveate.records.base import Count, Number, Record, Text
from foveate.records.examination import ExaminationRecord, Key, PictureRecord, Row
from foveate.records.metric import CLASSIFICATION, Metric

__all__ = [
    "EXPLAIN",
    "SCORES",
    "UNDIRECTED",
    "ExplainData",
    "ExplainKey",
    "ExplainRecord",
    "ExplainRow",
    "ExplainSettingsRecord",
    "MapScore",
]

EXPLAIN = "explain"
"""The kind of the record, and the name of its folder of pictures; the file is explain.json."""

SCORES = {
    score.name: score
    for score in (
        Metric(name="focus_ratio", title="Focus ratio", unit="number", digits=3),
        Metric(
            name="noise_suppression",
            title="Noise suppression ratio",
            unit="number",
            higher_is_better=False,
            high=None,
            digits=3,
        ),
        Metric(name="pointing_game", title="Pointing game", unit="number", digits=3),
        Metric(name="view_consistency", title="Consistency over views", unit="number", digits=3),
        Metric(name="class_consistency", title="Consistency over a class", unit="number", digits=3),
        Metric(name="road", title="ROAD", unit="number", low=-0.5, high=0.5, digits=3),
    )
}
"""The scores by name, in the order of tables. Maps are never negative, so their cosines are not either."""
UNDIRECTED = frozenset({"class_consistency"})
"""The scores for which neither a high nor a low value is better."""


class ExplainSettingsRecord(Record):
    """How the maps were made and scored.

    Attributes:
        method: the method of the maps.
        layer: the path of the module whose maps are weighted; None is the end of the last stage.
        road_images: number of images that ROAD was measured on.
        road_shares: shares of the pixels that ROAD removes.
        views: the names of the views over which the maps are compared.
        pointing_tolerance: distance from the object in pixels that counts as a hit.
        batch_size: images per forward pass.
        task: of the networks; absent for classification.
    """

    method: Text
    layer: Text | None
    road_images: Count
    road_shares: tuple[Number, ...]
    views: tuple[Text, ...]
    pointing_tolerance: Count
    batch_size: Count
    task: Text = CLASSIFICATION.name


class ExplainData(Record):
    """The images whose maps are scored: their origin, their number, and how many have a known object.

    `left_out` is the number of images and regions that were excluded.
    """

    about: Text
    fingerprint: Text
    images: Count
    with_object: Count
    left_out: Count


class ExplainKey(Key):
    """Everything that decides the scores of one network's maps.

    Attributes:
        images: the fingerprint of the images and their objects.
        limit: largest number of images.
        road: largest number of images for ROAD.
        definitions: the version of the definitions of the scores.
    """

    digest: Text = Field(validation_alias="network", serialization_alias="network")
    name: Text
    backbone: Text = ""
    method: Text
    layer: Text
    images: Text
    limit: Count
    road: Count
    batch_size: Count
    definitions: Count


class MapScore(Record):
    """A score over images or classes; a statistic is None if there are too few values.

    Attributes:
        n: number of values.
        undefined: number of images for which the score is not defined.
    """

    mean: Number | None
    std: Number | None
    ci95: tuple[Number, Number] | None
    n: Count
    undefined: Count


class ExplainRow(Row):
    """The scores of one network's maps, and the scalars that its attention learned, by site and name.

    `found` is the number of objects that a detector finds; absent for other networks.
    """

    key: ExplainKey
    label: Text
    seed: Count | None
    backbone: Text
    layer: Text
    scores: dict[Text, MapScore]
    found: Count | None = None
    learned: dict[Text, dict[Text, Number]]


class ExplainRecord(ExaminationRecord[ExplainRow]):
    """explain.json, written by `foveate explain` and read by its report."""

    settings: ExplainSettingsRecord
    data: ExplainData
    pictures: tuple[PictureRecord, ...] = ()
