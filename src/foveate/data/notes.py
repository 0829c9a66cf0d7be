"""Notes on a set of images, for the readers of its results."""

from dataclasses import dataclass, replace

from foveate.names import printable

__all__ = ["Note"]


@dataclass(frozen=True)
class Note:
    """A sentence on a set of images; `is_exclusion` if it names images or classes that were excluded."""

    text: str
    is_exclusion: bool = False

    @property
    def printable(self) -> "Note":
        """The note without characters that cannot be printed."""
        return replace(self, text=printable(self.text))
