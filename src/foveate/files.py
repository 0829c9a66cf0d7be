"""Files that are written whole or not at all."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from foveate.errors import DiskError

__all__ = ["write_json", "write_text", "write_whole"]


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` and rename it to `path` once its bytes are on the disk.

    Whoever reads `path` sees the old file or the new one, never a part, whatever ends this process.

    Raises:
        DiskError: the file cannot be written (a full disk, no permission); `path` is as it was.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "free some space" if full else "make the folder writable"
        raise DiskError(
            f"cannot write {path}: {error.strerror or error}. What was finished is kept: {cure}, "
            "then give the same command again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with write_whole(path) as file:
        file.write(text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, whole or not at all. NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
