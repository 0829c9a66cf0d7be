"""A checksum inside a zip archive, which is what `torch.save` writes: the archive's own comment holds it.

One file holds both, so no kill between two renames can part them, and whatever reads zip archives (torch of
any version, foveate 0.1.0) reads it as before. See PKWARE's APPNOTE.TXT, 4.3.16, for the end of an archive.
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
    """Append the checksum of the archive that was just written to `file`, as its comment."""
    size = file.seek(-2, 2) + 2
    file.write(struct.pack("<H", COMMENT))
    file.flush()
    file.write(MARK + file_sha256(Path(file.name), size).encode())


def check_checksum(path: Path) -> None:
    """Compare the checksum of the archive at `path` with its bytes; one without any, of 0.1.0, passes.

    Raises:
        ValueError: the file is not as it was written.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - END_SIZE - COMMENT, 0))
        tail = file.read()
    comment = tail[-COMMENT:]
    if comment.startswith(MARK):
        if comment[len(MARK) :] != file_sha256(path, size - COMMENT).encode():
            raise ValueError("its checksum is not that of its bytes")
    elif tail[-END_SIZE:][:4] != END or tail[-2:] != b"\0\0":
        raise ValueError("it does not end as it was written")
