"""The progress of other work than a study: a bar with a name and a total on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from foveate.cli.times import LineAMinute, NameColumn, Pace, TimesColumn, times
from foveate.studies.engine.watch import OnProgress

__all__ = ["shown_on"]


@contextmanager
def shown_on(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[OnProgress]:
    """Show on `console` what the yielded function is told.

    On a terminal that is one bar, with the elapsed and the remaining time of what is being done. Elsewhere it
    is a line where something new begins, and then a line a minute.
    """
    bars = Progress(
        NameColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimesColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    lines, paces = LineAMinute(console, clock), dict[str, Pace]()
    shown: dict[str, TaskID] = {}

    def on_progress(what: str, done: float, total: int, detail: str = "", /) -> None:
        if what not in paces:
            paces[what] = Pace(done, clock)
            if not console.is_terminal:
                console.print(f"{what} …", soft_wrap=True)
        pace = paces[what]
        pace.update(done)
        if what not in shown:
            for task in shown.values():
                bars.remove_task(task)
            shown.clear()
            remaining = partial(pace.remaining, total)
            shown[what] = bars.add_task(what, total=total, remaining=remaining, detail="")
        bars.update(shown[what], completed=done, total=total, detail=detail)
        now = f" ({detail})" if detail else ""
        lines.print(
            lambda: f"{what}: {int(done)} of {total}{now}; {times(pace.elapsed, pace.remaining(total))}"
        )

    with bars:
        yield on_progress
