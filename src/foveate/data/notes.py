"""A note: what a reader of results should know of a set of images, and whether it names what was excluded."""

from dataclasses import dataclass, replace

from foveate.names import printable

__all__ = ["Note"]


@dataclass(frozen=True)
class Note:
    """A sentence on a set of images; `is_exclusion`: it names images or classes that are not in the set."""

    text: str
    is_exclusion: bool = False

    @property
    def printable(self) -> "Note":
        """The note without characters that cannot be printed."""
        return replace(self, text=printable(self.text))
