"""The record of an examination while it is made: rows are measured once, and written as they come."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from foveate.inspection.trained import Trained
from foveate.records.examination import ExaminationRecord, ExaminedNetwork, Key, Row
from foveate.records.files import read_record, write_record
from foveate.studies.engine.holding import sole_user

__all__ = ["Assessment", "assessment", "examined_networks"]

RowType = TypeVar("RowType", bound=Row)


class Assessment(Generic[RowType]):
    """The record that one command writes to `path`, with the rows that earlier requests left there.

    The rows that this request asks for come first in the file ("rows"); the others are "kept".
    """

    def __init__(self, path: Path, begun: ExaminationRecord[RowType]) -> None:
        """Begin the record with what was asked for; `begun` has no rows."""
        self.path = path
        self._begun = begun
        self._excluded: list[str] = []
        self._warnings: list[str] = []
        self._rows: dict[str, RowType] = {}
        self._kept: dict[str, RowType] = {}
        if path.exists():
            earlier = read_record(path, type(begun))
            self._kept = {row.key.identity: row for row in (*earlier.kept, *earlier.rows)}

    def find(self, key: Key) -> RowType | None:
        """Return the row that was measured under exactly this key; it then belongs to this request."""
        name = key.identity
        if name in self._kept:
            self._rows[name] = self._kept.pop(name)
        return self._rows.get(name)

    def add(self, rows: Iterable[RowType]) -> None:
        """Add measured rows and write the file, whole or not at all."""
        self._rows |= {row.key.identity: row for row in rows}
        self.write()

    def exclude(self, sentence: str) -> None:
        """Record, once, what could not be examined and why."""
        if sentence not in self._excluded:
            self._excluded.append(sentence)

    def warn(self, sentence: str) -> None:
        """Record, once, what a reader must know."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)

    def change(self, **fields: Any) -> None:
        """Change fields of the record."""
        self._begun = self._begun.model_copy(update=fields)

    def write(self) -> None:
        """Write the file as it stands."""
        content = {
            "left_out": tuple(self._excluded),
            "warnings": tuple(self._warnings),
            "rows": tuple(self._rows.values()),
            "kept": tuple(self._kept.values()),
        }
        write_record(self.path, self._begun.model_copy(update=content))


@contextmanager
def assessment(path: Path, begun: ExaminationRecord[RowType]) -> Iterator[Assessment[RowType]]:
    """Open the record at `path` for this process alone; it is written at the end.

    Raises:
        RequestError: another foveate is at work in that folder, or what lies at `path` is no such record.
    """
    with sole_user(path.parent):
        record = Assessment(path, begun)
        yield record
        record.write()


def examined_networks(trained: Sequence[Trained]) -> tuple[ExaminedNetwork, ...]:
    """Return `trained` as a record lists them."""
    return tuple(
        ExaminedNetwork(name=one.name, label=one.label, seed=one.seed, backbone=one.backbone)
        for one in trained
    )
