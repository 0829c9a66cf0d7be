"""The console that every command prints on. Refusals do without it, as rich takes a while to import."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from foveate.names import printable

__all__ = ["PrintableConsole"]


class PrintableConsole(Console):
    """A console that escapes control characters: names of files could steer the terminal by them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with control characters escaped (see `printable`)."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
