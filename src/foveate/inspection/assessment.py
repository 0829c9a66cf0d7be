"""The record of an examination of trained networks: rows that are measured once, in one file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foveate.files import write_json
from foveate.inspection.trained import Trained
from foveate.records.study import FORMAT, read_record
from foveate.studies.compare import sole_user
from foveate.version import __version__

__all__ = ["Assessment", "assessment"]


class Assessment:
    """What one command measures, in `path`, with the rows that earlier requests left there.

    A row is a flat dict of a key, which has all that decides the rest, and of what was measured under it. The
    rows that this request asked for come first in the file ("rows"); the others are "kept".
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.about = {"format": FORMAT, "foveate": __version__, **about, "left_out": [], "warnings": []}
        earlier = read_record(path) if path.exists() else {"rows": [], "kept": []}
        self._kept = {_name(row["key"]): row for row in [*earlier["kept"], *earlier["rows"]]}
        self._rows: dict[str, dict[str, Any]] = {}

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """The row measured before under exactly this key; it then belongs to this request."""
        name = _name(key)
        if name in self._kept:
            self._rows[name] = self._kept.pop(name)
        return self._rows.get(name)

    def add(self, rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """Add measured rows, each a key and its values, and write the file, whole or not at all."""
        for key, values in rows:
            self._rows[_name(key)] = {"key": dict(key), **values}
        self.write()

    def say(self, *, left_out: str | None = None, warning: str | None = None) -> None:
        """Put a sentence on what could not be examined, or on what a reader must know, into the file."""
        for sentences, sentence in (
            (self.about["left_out"], left_out),
            (self.about["warnings"], warning),
        ):
            if sentence is not None and sentence not in sentences:
                sentences.append(sentence)

    def write(self) -> None:
        """Write the file as it stands."""
        content = {**self.about, "rows": [*self._rows.values()], "kept": [*self._kept.values()]}
        write_json(self.path, content)


@contextmanager
def assessment(
    folder: Path, kind: str, trained: Sequence[Trained], about: Mapping[str, Any]
) -> Iterator[Assessment]:
    """Open the record of `kind` in `folder` for `trained`, for this process alone; it is written at the end.

    `about` says what was asked for and of what: command, environment, settings, data.

    Raises:
        RequestError: another foveate is at work there, or what lies there is no such record.
    """
    networks = [
        {"name": one.name, "label": one.label, "seed": one.seed, "backbone": one.backbone} for one in trained
    ]
    with sole_user(folder):
        record = Assessment(folder / f"{kind}.json", {"kind": kind, **about, "networks": networks})
        yield record
        record.write()


def _name(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True, ensure_ascii=False)
