"""The local working copy of a study that lies behind a URL.

The program reads and writes a local folder in every case. Where a study lies behind a URL, that folder is a
mirror of it: files are copied from there when the study is opened, and to there when they change, whole
objects only, under the same names. So a study that is copied down by other means is a study.
"""

import json
import os
import shutil
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from foveate.files import PART, write_json
from foveate.records.file_names import RUNS, SEARCH
from foveate.storage.base import Entry
from foveate.storage.remote import RemoteStorage

__all__ = ["Mirror"]

INDEX = ".mirrored.json"
"""In each scope: which version of each file lies here. It is a cache: without it, files are copied again."""

AT_ONCE = 16
"""Files that are copied at the same time."""

LARGE = ("weights.safetensors", "model.safetensors", "last.ckpt")
"""Names of files that are copied from the storage only where they are asked for; no report needs them."""

DATABASE = ".db"
"""Ending of a database of SQLite."""

UNSHARED = (PART, "-journal", "-wal", "-shm")
"""Endings of files that are in use by this machine alone. So are files and folders whose names begin
with a dot."""


@dataclass(frozen=True)
class _Copied:
    """A file that was alike on both sides: the version there, and size and time of modification here."""

    version: str
    size: int
    modified: int

    def is_as_here(self, path: Path) -> bool:
        """Return whether the file at `path` was not changed since."""
        try:
            stat = path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.modified)


_Index = dict[str, _Copied]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Mirror:
    """The files of `storage` in a local `folder`.

    A scope is what one process writes at a time: a run, or a trial, or all else of a study (scope "").
    """

    folder: Path
    storage: RemoteStorage

    def pull(self, scope: str | None = None, *, large: bool = False) -> None:
        """Copy what changed there; of `scope` alone, if one is given. Weights only with `large`.

        A file that was changed here since it was copied, and not there, stays as it is.

        Raises:
            DiskError: the storage does not answer, or the disk is full.
        """
        found: dict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in self.storage.entries(scope or ""):
            found[scope_of(entry.name)][entry.name] = entry
        indexes = {one: self._read_index(one) for one in {*found, scope or ""}}
        wanted = [
            entry
            for one, entries in found.items()
            for entry in entries.values()
            if self._is_wanted(entry, indexes[one].get(entry.name), large=large)
        ]
        for entry, copied in zip(wanted, _at_once(self._get, wanted), strict=True):
            if copied is not None:
                indexes[scope_of(entry.name)][entry.name] = copied
        changed = {scope_of(entry.name) for entry in wanted}
        for one, index in indexes.items():
            # Another process of this machine may have copied a file there since the list was made.
            gone = [name for name in index if name not in found[one] and self.storage.entry(name) is None]
            for name in gone:
                if index.pop(name).is_as_here(self.folder / name):
                    (self.folder / name).unlink()
            if gone or one in changed:
                self._write_index(one, index)

    def push(self, scope: str = "") -> None:
        """Copy to there what changed here in `scope`, and delete there what was deleted here.

        Raises:
            DiskError: the storage does not answer.
        """
        index = self._read_index(scope)
        here = set(self._files(scope))
        alike = {name for name, copied in index.items() if copied.is_as_here(self.folder / name)}
        changed = sorted(here - alike)
        gone = [name for name in index if name not in here]
        if not changed and not gone:
            return
        for name, copied in zip(changed, _at_once(self._put, changed), strict=True):
            if copied is not None:
                index[name] = copied
        for name in gone:
            self.storage.delete(name)
            del index[name]
        self._write_index(scope, index)

    def note_copied(self, name: str) -> None:
        """Take note that the file `name` is the same on both sides, so that it is not copied again."""
        if entry := self.storage.entry(name):
            index = self._read_index(scope_of(name))
            index[name] = self._copied(entry, self.folder / name)
            self._write_index(scope_of(name), index)

    def _is_wanted(self, entry: Entry, known: _Copied | None, *, large: bool) -> bool:
        if not is_shared(entry.name) or (entry.name.endswith(LARGE) and not large):
            return False
        return known is None or known.version != entry.version or not (self.folder / entry.name).exists()

    def _get(self, entry: Entry) -> _Copied | None:
        path = self.folder / entry.name
        return self._copied(entry, path) if self.storage.get(entry.name, path) else None

    def _put(self, name: str) -> _Copied | None:
        try:
            before = (self.folder / name).stat()
            with _unchanging(self.folder / name) as path:
                sent = path.stat()
                self.storage.put(path, name)
        except FileNotFoundError:  # deleted since it was listed
            return None
        entry = self.storage.entry(name)
        version = entry.version if entry is not None and entry.size == sent.st_size else ""
        here = before if name.endswith(DATABASE) else sent  # what is sent of a database is a copy
        return _Copied(version, here.st_size, here.st_mtime_ns)

    @staticmethod
    def _copied(entry: Entry, path: Path) -> _Copied:
        stat = path.stat()
        return _Copied(entry.version, stat.st_size, stat.st_mtime_ns)

    def _files(self, scope: str) -> Iterator[str]:
        for folder, folders, files in os.walk(self.folder / scope):
            names = [(Path(folder) / name).relative_to(self.folder).as_posix() for name in files]
            yield from (name for name in names if is_shared(name) and scope_of(name) == scope)
            if not scope and Path(folder) == self.folder:
                folders[:] = [name for name in folders if name not in (RUNS, SEARCH)]

    def _read_index(self, scope: str) -> _Index:
        try:
            content = json.loads((self.folder / scope / INDEX).read_text(encoding="utf-8"))
            return {name: _Copied(*known) for name, known in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write_index(self, scope: str, index: _Index) -> None:
        content = {name: [one.version, one.size, one.modified] for name, one in sorted(index.items())}
        write_json(self.folder / scope / INDEX, content)


def scope_of(name: str) -> str:
    """Return the scope of a file: the folder of its run or trial, or "" for all else of the study."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in (RUNS, SEARCH) and len(parts) > 2 else ""


def is_shared(name: str) -> bool:
    """Return whether a file belongs to both sides: leases, indexes and temporary files do not."""
    return not any(part.startswith(".") for part in name.split("/")) and not name.endswith(UNSHARED)


def _at_once(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Call `function` on several items at a time; after an error, on no further ones."""
    pool = ThreadPoolExecutor(min(AT_ONCE, len(items) or 1))
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _unchanging(path: Path) -> Iterator[Path]:
    """Give a second name to the file at `path`, so that it stays as it is if another is renamed to `path`.

    A database is written in place; of it, a copy is made between two of its transactions.
    """
    second = path.with_name(f".{path.name}.{uuid.uuid4().hex}.{os.getpid()}{PART}")
    try:
        if path.name.endswith(DATABASE):
            with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(second)) as copy:
                here.backup(copy)
        else:
            try:
                second.hardlink_to(path)
            except OSError:
                shutil.copyfile(path, second)
        yield second
    finally:
        second.unlink(missing_ok=True)
