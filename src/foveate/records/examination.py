"""The common parts of the records of explain, robustness, transfer and deploy."""

import json
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import Field

from foveate.records.base import Count, Record, Text
from foveate.records.environment import Environment

__all__ = ["ExaminationRecord", "ExaminedNetwork", "Key", "PictureRecord", "Row"]


class ExaminedNetwork(Record):
    """A network that was examined; `seed` is None if foveate did not train it."""

    name: Text
    label: Text
    seed: Count | None
    backbone: Text


class PictureRecord(Record):
    """A picture beside a record: its title, a description in words, and the name of its file.

    `meanings` says what each name in the picture stands for; absent where there are none.
    """

    title: Text
    description: Text
    file: Text
    meanings: dict[Text, Text] = Field(default_factory=dict)


class Key(Record):
    """Everything that decides the values of a row; equal keys are measured once.

    Each subclass declares the fields `name` and `digest` itself, because their order in the JSON differs and
    the JSON key "network" is the name in some kinds of record and the digest in others.

    Attributes:
        name: of the network, as in the record's `networks`.
        digest: of its weights.
    """

    if TYPE_CHECKING:
        name: Text
        digest: Text

    @property
    def identity(self) -> str:
        """A text that is equal for equal keys, whatever the order of their fields."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)


class Row(Record):
    """A row: its key, and in the fields of subclasses the values that were measured."""

    key: Key


RowType = TypeVar("RowType", bound=Row)


class ExaminationRecord(Record, Generic[RowType]):
    """The record of an examination: KIND.json in the examined folder, written and read by its command.

    Attributes:
        settings: the settings of the command; subclasses type them.
        data: the images; subclasses type them.
        left_out: what was excluded and why, in sentences.
        warnings: warnings to the reader, in sentences.
        pictures: the pictures beside the record; only some kinds draw any.
        rows: the rows of the last request.
        kept: the rows of earlier requests.
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
        """The names of the networks without a row; `left_out` says why."""
        measured = {row.key.name for row in self.rows}
        return [one.name for one in self.networks if one.name not in measured]
