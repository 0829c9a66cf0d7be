"""Elapsed and remaining time as bars and lines show it, and lines of progress where there is no terminal."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.text import Text

__all__ = ["LineAMinute", "NameColumn", "Pace", "TimesColumn", "times"]

MINUTE = 60.0


def times(elapsed: float, remaining: float | None) -> str:
    """Write "elapsed 0:01:12, remaining 0:10:00"; an unknown remaining time is a dash."""
    return f"elapsed {_clock(elapsed)}, remaining {'–' if remaining is None else _clock(remaining)}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


class NameColumn(ProgressColumn):
    """The name of a task as it is, in the style of its field `style`."""

    def render(self, task: Task) -> Text:
        """Render the column, on one line."""
        return Text(task.description, style=task.fields.get("style", ""), no_wrap=True)


class TimesColumn(ProgressColumn):
    """The times of a task whose field `remaining` is a function that returns seconds, and else its note."""

    def render(self, task: Task) -> Text:
        """Render the column, on one line."""
        remaining: Callable[[], float | None] | None = task.fields.get("remaining")
        words = task.fields.get("note", "") if remaining is None else times(task.elapsed or 0.0, remaining())
        return Text(words, style="dim", no_wrap=True)


class LineAMinute:
    """Prints lines of progress on a console that is no terminal, one a minute at most."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._last = clock()

    def print(self, line: Callable[[], str]) -> None:
        """Print `line()` if a minute has passed since the last line, or since the start."""
        now = self._clock()
        if not self._console.is_terminal and now - self._last >= MINUTE:
            self._last = now
            self._console.print(line(), soft_wrap=True)


class Pace:
    """The remaining time of work whose parts take equally long, from the time of those that are done."""

    def __init__(self, done: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock where `done` of the parts are done already."""
        self._clock = clock
        self._began = self._at = clock()
        self._first = self._done = done

    @property
    def elapsed(self) -> float:
        """The seconds since the start."""
        return self._clock() - self._began

    def update(self, done: float) -> None:
        """Take note that `done` parts are done."""
        self._done, self._at = done, self._clock()

    def remaining(self, total: float) -> float | None:
        """Return the seconds that the other parts take, or None before one was measured."""
        measured = self._done - self._first
        if measured <= 0:
            return None
        expected = (self._at - self._began) / measured * (total - self._done)
        return max(expected - (self._clock() - self._at), 0.0)
