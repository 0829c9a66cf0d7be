"""Files that are written whole or not at all."""

import csv
import errno
import hashlib
import io
import json
import math
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from foveate.errors import DiskError

__all__ = [
    "file_sha256",
    "find_obstacle",
    "remove_parts",
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

PART = ".part"
"""How the name of a temporary file ends; before it stands the number of the process that writes it."""


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

    Whoever reads `path` sees the old file or the new one, never a part, whatever ends this process. A
    symbolic link stays, and the file that it points to is replaced. What exists and is no regular file (a
    device, a FIFO) cannot be replaced: it is written in place, as is the file that standard output goes to.

    Raises:
        DiskError: the file cannot be written (a full disk, no permission); `path` is as it was.
    """
    writing = None
    part = None
    try:
        if _is_written_in_place(path):
            writing = _Writing(path, "ab")
            with io.BufferedWriter(writing) as file:
                yield file
            return
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        part = target.with_name(f"{target.name}.{os.getpid()}{PART}")
        target.parent.mkdir(parents=True, exist_ok=True)
        writing = _Writing(part, "wb")
        with io.BufferedWriter(writing) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except Exception as error:
        fault = error if isinstance(error, OSError) else writing and writing.fault
        if not isinstance(fault, OSError):
            raise
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "free some space" if full else "see to it that it can be written"
        raise DiskError(
            f"cannot write {path}: {fault.strerror or fault}. What was finished is kept: {cure}, "
            "then give the same command again"
        ) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


class _Writing(io.FileIO):
    """A file that keeps the error of a write: torch and zipfile raise errors of their own in its place."""

    fault: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.fault = error
            raise


def _is_written_in_place(path: Path) -> bool:
    """Whether a rename to `path` would replace a device, a FIFO, or the file of a standard stream."""
    try:
        there = path.stat()
    except OSError:
        return False
    if stat.S_ISDIR(there.st_mode):
        return False
    return not stat.S_ISREG(there.st_mode) or any(
        os.path.samestat(there, os.fstat(stream)) for stream in (1, 2) if _is_open(stream)
    )


def _is_open(stream: int) -> bool:
    try:
        os.fstat(stream)
    except OSError:
        return False
    return True


def remove_parts(folder: Path) -> None:
    """Remove the temporary files below `folder` of processes that were killed while they wrote."""
    for part in folder.rglob(f"*{PART}"):
        writer = part.name.removesuffix(PART).rpartition(".")[2]
        if writer.isdecimal() and not _is_alive(int(writer)):
            part.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    if sys.platform == "win32":  # there, os.kill would end it
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


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
