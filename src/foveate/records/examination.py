"""What the records of all examinations of trained networks share: explain, robustness, transfer."""

import json
from typing import TYPE_CHECKING, Generic, TypeVar

from foveate.records.base import Count, Record, Text
from foveate.records.environment import Environment

__all__ = ["ExaminationRecord", "ExaminedNetwork", "Key", "PictureRecord", "Row"]


class ExaminedNetwork(Record):
    """A network that was examined; `seed` is None where it was trained elsewhere."""

    name: Text
    label: Text
    seed: Count | None
    backbone: Text


class PictureRecord(Record):
    """A picture that lies beside a record: its title, a description in words, and its file's name."""

    title: Text
    description: Text
    file: Text


class Key(Record):
    """Everything that decides what a row holds; equal keys are measured once.

    Each subclass declares the fields `name` and `digest` itself: their places in the JSON differ, and so does
    what the JSON key "network" stands for, a name in some kinds of record and a digest in others.

    Attributes:
        name: of the network, as in the record's `networks`.
        digest: of its weights.
    """

    if TYPE_CHECKING:
        name: Text
        digest: Text

    @property
    def identity(self) -> str:
        """The same text for equal keys, whatever the order of their fields."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)


class Row(Record):
    """A row: its key, and in the fields of subclasses what was measured under it."""

    key: Key


RowType = TypeVar("RowType", bound=Row)


class ExaminationRecord(Record, Generic[RowType]):
    """The record of an examination.

    Attributes:
        settings: what was asked for; subclasses type it.
        data: the images; subclasses type it.
        left_out: what could not be examined, in sentences.
        warnings: what a reader must know, in sentences.
        pictures: files beside the record, of those kinds that draw any.
        rows: those that the last request asked for.
        kept: those of earlier requests.
    """

    format: Count
    foveate: Text
    kind: Text
    command: Text
    environment: Environment
    settings: Record
    data: Record
    networks: tuple[ExaminedNetwork, ...]
    left_out: tuple[Text, ...] = ()
    warnings: tuple[Text, ...] = ()
    pictures: tuple[PictureRecord, ...] = ()
    rows: tuple[RowType, ...] = ()
    kept: tuple[RowType, ...] = ()

    @property
    def unmeasured(self) -> list[str]:
        """The names of networks that have no row: each was excluded, and the record says why."""
        measured = {row.key.name for row in self.rows}
        return [one.name for one in self.networks if one.name not in measured]
