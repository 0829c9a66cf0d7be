"""The progress of a profile: one bar on a terminal, a line for each thing begun elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from foveate.studies.engine.watch import OnProgress

__all__ = ["shown_on"]


@contextmanager
def shown_on(console: Console) -> Iterator[OnProgress]:
    """Show on `console` what the yielded function is told."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bars.add_task("", total=1)
    begun = ""

    def on_progress(what: str, done: int, total: int) -> None:
        nonlocal begun
        if what != begun and not console.is_terminal:
            console.print(f"{escape(what)} …", soft_wrap=True)
        begun = what
        bars.update(task, description=escape(what), completed=done, total=total)

    with bars:
        yield on_progress
