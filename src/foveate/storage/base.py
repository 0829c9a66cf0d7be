"""What every place of records can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Entry", "Storage"]


@dataclass(frozen=True)
class Entry:
    """A file of a storage: its name, its size in bytes, and a text that changes whenever its content does."""

    name: str
    size: int
    version: str


class Storage(Protocol):
    """A place of files. Names are relative to it, with "/" between folders, and have no leading "/".

    Every method raises DiskError if the place does not answer, is full, or refuses; a file that is absent is
    no error.
    """

    @property
    def place(self) -> str:
        """The place as a person names it: a path or a URL."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it is absent."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: a reader sees the content of before or this one, never a part."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file whole if it is absent, and return whether this call wrote it.

        Of several processes that create the same file, on any machines, exactly one receives True.
        """

    def mark(self, name: str, content: bytes) -> bool:
        """Create a small file if it is absent, and return whether this call did; a reader may see a part.

        It is `create` without the price of a content that must be whole and survive a loss of power.
        """

    def overwrite(self, name: str, content: bytes) -> bool:
        """Replace the content of a file of `mark`, which has the same length; return False if it is absent.

        Only the process that created the file calls this. A reader may see parts of both contents.
        """

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files in one folder, without that of the folder; none if it is absent."""

    def entries(self, folder: str = "") -> Sequence[Entry]:
        """Return the files of a folder and of all folders in it."""

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
