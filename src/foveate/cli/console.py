"""The console that every command prints on. Refusals do without it, as rich takes a while to import."""

from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from foveate.names import printable

__all__ = ["PrintableConsole"]


class PrintableConsole(Console):
    """A console that prints texts as they are: [x0] and :name: stand for themselves, and nothing else.

    Control characters are escaped, as names of files could steer the terminal by them.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        file: TextIO | None = None,
        width: int | None = None,
        force_terminal: bool | None = None,
    ) -> None:
        super().__init__(
            stderr=stderr,
            file=file,
            width=width,
            force_terminal=force_terminal,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with control characters escaped (see `printable`)."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
