"""A storage in a folder of this machine, or of a file system that machines share."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foveate.errors import DiskError
from foveate.files import create_whole, write_bytes
from foveate.storage.base import Entry

__all__ = ["FolderStorage"]


@dataclass(frozen=True)
class FolderStorage:
    """The files below `folder`. No lock of the operating system is used: many shared file systems lack them.

    `mark` rests on O_CREAT with O_EXCL, which local file systems and NFS (version 3 and later), Lustre, GPFS
    and CephFS carry out as one step. `create` links a whole temporary file to its name, which fails if the
    name is there; see `create_whole` for file systems without links.
    """

    folder: Path

    @property
    def place(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it is absent."""
        with self._reported(name):
            try:
                return (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write to a temporary file, then rename."""
        write_bytes(self.folder / name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write to a temporary file, then link it to its name, which fails if that is there."""
        return create_whole(self.folder / name, content)

    def mark(self, name: str, content: bytes) -> bool:
        """Create the file with O_EXCL and write its content in place."""
        path = self.folder / name
        with self._reported(name):
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            except FileExistsError:
                return False
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                return self.mark(name, content)
            try:
                os.write(file, content)
            finally:
                os.close(file)
            return True

    def overwrite(self, name: str, content: bytes) -> bool:
        """Write in place: a rename would give the name another file, which NFS clients notice late."""
        with self._reported(name):
            try:
                with (self.folder / name).open("r+b", buffering=0) as file:
                    file.write(content)
            except FileNotFoundError:
                return False
            return True

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files in one folder; none if it is absent."""
        with self._reported(folder):
            try:
                with os.scandir(self.folder / folder) as found:
                    return [one.name for one in found]
            except FileNotFoundError:
                return []

    def entries(self, folder: str = "") -> Sequence[Entry]:
        """Return the files below a folder; the version is made of size and time of modification."""
        with self._reported(folder):
            return sorted(self._walk(self.folder / folder), key=lambda entry: entry.name)

    def _walk(self, folder: Path) -> Iterator[Entry]:
        for path in folder.rglob("*"):
            if path.is_file():
                stat = path.stat()
                name = path.relative_to(self.folder).as_posix()
                yield Entry(name, stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}")

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        with self._reported(name):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(
                f"cannot use {self.folder / name}: {error.strerror or error}. What was finished is kept: see "
                "that the folder can be read and written to, then give the same command again"
            ) from error
