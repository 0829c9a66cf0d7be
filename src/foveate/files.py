"""Files that are written whole or not at all."""

import csv
import errno
import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from foveate.errors import DiskError

__all__ = [
    "file_sha256",
    "find_obstacle",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_text",
    "write_whole",
]

HASHED_AT_ONCE = 2**20
"""Bytes of a file that are in memory while it is hashed."""

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets compute."""


def find_obstacle(folder: Path) -> Path | None:
    """Return what keeps `folder` from being made and written to: a file, or a folder without permission."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return None if there.is_dir() and os.access(there, os.W_OK) else there


def file_sha256(path: Path, size: int | None = None) -> str:
    """Return the SHA-256 of the first `size` bytes of the file at `path`, or of all of them, in hex."""
    digest, left = hashlib.sha256(), math.inf if size is None else size
    with path.open("rb") as file:
        while block := file.read(int(min(left, HASHED_AT_ONCE))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` and rename it to `path` once its bytes are on the disk.

    Whoever reads `path` sees the old file or the new one, never a part, whatever ends this process.

    Raises:
        DiskError: the file cannot be written (a full disk, no permission); `path` is as it was.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "free some space" if full else "see to it that it can be written"
        raise DiskError(
            f"cannot write {path}: {error.strerror or error}. What was finished is kept: {cure}, "
            "then give the same command again"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with write_whole(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all.

    What of a file's name is no Unicode is written out, as "\\udce9", which is how JSON writes it too.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as CSV with a header; None is an empty cell, no rows an empty file.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.
    """
    rows = list(rows)
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, whole or not at all. NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
