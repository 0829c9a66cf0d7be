"""What the records of all examinations of trained networks share: explain, robustness, transfer."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from foveate.records.base import Count, Json, Record, Text
from foveate.records.environment import Environment

__all__ = ["ExaminationRecord", "ExaminedNetwork", "Key", "Row"]


class ExaminedNetwork(Record):
    """A network that was examined; `seed` is None where it was trained elsewhere."""

    name: Text
    label: Text
    seed: Count | None
    backbone: Text


class Key(Record):
    """Everything that decides what a row holds; equal keys are measured once.

    In JSON the key "network" is a name in one kind of record and a digest of weights in another: subclasses
    name the field for what it is, and give it that alias.
    """

    name: Text
    digest: Text

    @property
    def identity(self) -> Hashable:
        """What two equal keys have in common, whatever the order of their fields."""
        return self.model_dump_json(exclude_unset=True, by_alias=True)


KeyType = TypeVar("KeyType", bound=Key)


class Row(Record, Generic[KeyType]):
    """A row: its key, and in the fields of subclasses what was measured under it."""

    key: KeyType


RowType = TypeVar("RowType", bound=Row)


class ExaminationRecord(Record, Generic[RowType]):
    """The record of an examination.

    `rows` are those that the last request asked for, `kept` those of earlier requests. `left_out` says in
    sentences what could not be examined, `warnings` what a reader must know.
    """

    format: Count
    foveate: Text
    kind: Text
    command: Text
    environment: Environment
    settings: dict[str, Json]
    data: dict[str, Json]
    networks: tuple[ExaminedNetwork, ...]
    left_out: tuple[Text, ...]
    warnings: tuple[Text, ...]
    rows: tuple[RowType, ...]
    kept: tuple[RowType, ...]
