"""A checksum in the comment of a zip archive, the format that `torch.save` writes.

Both are in one file, so a killed process never leaves one without the other, and every reader of zip archives
(any torch, foveate 0.1.0) still reads it. See PKWARE's APPNOTE.TXT, 4.3.16, for the end of an archive.
"""

import struct
from pathlib import Path
from typing import IO

from foveate.files import file_sha256

__all__ = ["add_checksum", "check_checksum"]

MARK = b"foveate-sha256:"
COMMENT = len(MARK) + 64
"""Bytes of the comment: the mark, then the digest in hex."""
END = b"PK\x05\x06"
END_SIZE = 22
"""Bytes of an archive's last record, whose last two are the size of the comment that follows."""


def add_checksum(file: IO[bytes]) -> None:
    """Append the checksum of the archive in `file` as its comment."""
    size = file.seek(-2, 2) + 2
    file.write(struct.pack("<H", COMMENT))
    file.flush()
    file.write(MARK + file_sha256(Path(file.name), size).encode())


def check_checksum(path: Path) -> None:
    """Validate the checksum of the archive at `path`; an archive of 0.1.0 has none and passes.

    Raises:
        ValueError: the file was damaged after it was written.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - END_SIZE - COMMENT, 0))
        tail = file.read()
    comment = tail[-COMMENT:]
    if comment.startswith(MARK):
        if comment[len(MARK) :] != file_sha256(path, size - COMMENT).encode():
            raise ValueError("its checksum does not match its bytes")
    elif tail[-END_SIZE:][:4] != END or tail[-2:] != b"\0\0":
        raise ValueError("its end is missing or damaged")
