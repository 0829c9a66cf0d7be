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
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from foveate.errors import DiskError

__all__ = [
    "create_whole",
    "file_sha256",
    "find_obstacle",
    "json_bytes",
    "part_ending",
    "remove_parts",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_text",
    "write_whole",
]

HASHED_AT_ONCE = 2**20
"""Bytes that are read at a time while a file is hashed."""

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of text that a spreadsheet runs as a formula."""

WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Errors of a file system that has no hard links."""

PART = ".part"
"""Suffix of a temporary file. The id of the process that writes it comes before."""


TOKEN = uuid.uuid4().hex[:8]
"""Tells the temporary files of this process from those of one with the same id on another machine."""


def part_ending() -> str:
    """Return what the names of this process's temporary files end in."""
    return f"{TOKEN}.{os.getpid()}{PART}"


def find_obstacle(folder: Path) -> Path | None:
    """Return the file, or folder without permission, that prevents writing to `folder`, or None."""
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


def _rename(part: Path, target: Path) -> None:
    part.replace(target)


def _link(part: Path, target: Path) -> None:
    """Give `part` the name `target` as well, in one step that fails if that name is there.

    A file system without links has no such step; there, the name is looked for before the rename.

    Raises:
        FileExistsError: there is another file under that name.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        if not part.samefile(target):  # NFS may repeat a request whose answer was lost
            raise
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        part.replace(target)


def create_whole(path: Path, content: bytes) -> bool:
    """Write `content` to `path`, whole, if there is no such file yet, and return whether this call wrote it.

    Of several processes that do this at once, also on different machines with one file system, one receives
    True. Where the file system has no hard links (FAT, some network mounts), two calls within the same
    microseconds may both receive True, and the later content remains.

    Raises:
        DiskError: the file cannot be written.
    """
    try:
        with write_whole(path, publish=_link) as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


@contextmanager
def write_whole(path: Path, publish: Callable[[Path, Path], None] = _rename) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` and rename it to `path` once its bytes are on the disk.

    A reader of `path` sees the old file or the new one, never a part, even if this process is killed. A
    symbolic link is kept, and the file that it points to is replaced. A device or FIFO cannot be replaced: it
    is written in place, and so is the file that standard output or standard error goes to.

    Raises:
        DiskError: the file cannot be written (full disk, no permission); `path` is unchanged.
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
        part = target.with_name(f"{target.name}.{part_ending()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        writing = _Writing(part, "wb")
        with io.BufferedWriter(writing) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(part, target)
    except Exception as error:
        if isinstance(error, FileExistsError) and publish is _link:
            raise
        fault = error if isinstance(error, OSError) else writing and writing.fault
        if not isinstance(fault, OSError):
            raise
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "free some space" if full else "make it writable"
        raise DiskError(
            f"cannot write {path}: {fault.strerror or fault}. What was finished is kept: {cure}, "
            "then give the same command again"
        ) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


class _Writing(io.FileIO):
    """A file that keeps the OSError of a failed write: torch and zipfile raise other errors in its place."""

    fault: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.fault = error
            raise


def _is_written_in_place(path: Path) -> bool:
    """Return whether a rename to `path` would replace a device, a FIFO, or the file of a standard stream."""
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


def remove_parts(folder: Path, besides: Iterable[str] = ()) -> None:
    """Remove the temporary files that killed processes left below `folder`.

    `besides` are names of folders in it where processes of other machines may be writing.
    """
    others = {folder / name for name in besides}
    for part in folder.rglob(f"*{PART}"):
        if others & set(part.parents):
            continue
        writer = part.name.removesuffix(PART).rpartition(".")[2]
        if writer.isdecimal() and not _is_alive(int(writer)):
            part.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Return whether a process with this id runs on this machine."""
    if sys.platform == "win32":  # there, os.kill would terminate it
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

    Bytes of a file name that are not Unicode are escaped as "\\udce9", as in JSON.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows of equal keys as CSV with a header; None is an empty cell, no rows an empty file.

    Text that a spreadsheet would run as a formula is prefixed with an apostrophe; numbers are not.
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


def json_bytes(content: Any) -> bytes:
    """Return `content` as the JSON of a file, in UTF-8. NaN and infinity are refused."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode(errors="backslashreplace")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, whole or not at all. NaN and infinity are refused."""
    write_bytes(path, json_bytes(content))
