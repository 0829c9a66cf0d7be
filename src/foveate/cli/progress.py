"""The progress of a study: bars on a terminal; elsewhere a line a finished run, and a line a minute."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID
from rich.text import Text

from foveate.cli.times import LineAMinute, NameColumn, TimesColumn, times
from foveate.notation import count
from foveate.records.metric import Metric
from foveate.records.study import StudyData
from foveate.studies.engine.remaining import RemainingTime
from foveate.studies.engine.watch import WaitingRun, Watch

__all__ = ["ProgressWatch"]

READING = "images"
MEASURING = "measuring, side by side"
REHEARSING = "training a few steps of each candidate"


class ProgressWatch(Watch):
    """Shows a study on `console` while it is used as a context manager.

    The bar of the runs has the elapsed and the remaining time of the whole study, from its first epoch on.
    Where `console` is no terminal, a line a minute says the same.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self.console = console
        self.clock = clock
        self.remaining = RemainingTime(clock)
        self.lines = LineAMinute(console, clock)
        self.began = clock()
        self.ended = self.total = 0
        self.bars = Progress(
            NameColumn(),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimesColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.study: TaskID | None = None
        self.runs: dict[str, TaskID] = {}

    def __enter__(self) -> "ProgressWatch":
        self.bars.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bars.stop()

    def reading(self, source: str) -> None:
        """A bar without an end."""
        self.runs[READING] = self.bars.add_task(f"{READING} of {source}", total=None, note="")

    def fetching(self, backbone: str) -> None:
        """A line, because a download has no bar of its own."""
        self.console.print(f"finding the pretrained weights of {backbone}", style="dim")

    def opened(self, data: StudyData) -> None:
        """What was found, in a few lines."""
        self._remove(READING)
        self.console.print(
            f"{data.name}: {data.train:,} images to train, {data.validation:,} to validate, "
            f"{data.test:,} to test; {len(data.classes)} classes, {data.image_size} pixels, "
            f"{'colour' if data.channels == 3 else 'grey'}"
        )
        for note in data.notes:
            self.console.print(f"  {note}", style="dim")

    def note(self, sentence: str) -> None:
        """A line that stays."""
        self.console.print(sentence, soft_wrap=True)

    def measuring(self, done: int, total: int) -> None:
        """A bar for the latency measurement."""
        self._advance(MEASURING, done, total, "")
        if done == total:
            self._remove(MEASURING)

    def rehearsing(self, done: int, total: int) -> None:
        """A bar for the steps that a plan times."""
        self._advance(REHEARSING, done, total, "")
        if done == total:
            self._remove(REHEARSING)

    def planned(self, total: int, finished: int) -> None:
        """The study's own bar."""
        if finished:
            self.console.print(f"{finished} of {total} runs were finished before; {total - finished} to go")
        if self.study is not None:  # of the search that came before
            self.bars.remove_task(self.study)
        self.total, self.ended, self.began = total, finished, self.clock()
        self.study = self.bars.add_task("runs", total=total, completed=finished, note="", style="bold")

    def waiting(self, runs: Sequence[WaitingRun], jobs: int) -> None:
        """The remaining time beside the study's bar."""
        self.remaining = RemainingTime(self.clock)
        self.remaining.plan(runs, jobs)
        if self.study is not None:
            self.bars.update(self.study, remaining=self.remaining.seconds)

    def step(self, run: str, epoch: int, epochs: int, step: int, steps: int, value: float | None) -> None:
        """A bar for each run that is under way; it counts epochs."""
        position = epoch - 1 + step / steps
        self.remaining.step(run, position, epochs)
        if not self.remaining.has_ended(run):
            note = "" if value is None else f"validation {value:.3f}"
            self._advance(run, position, epochs, note)
        self.lines.print(lambda: self._line(run, epoch, epochs))

    def finished(
        self,
        run: str,
        metric: Metric,
        value: float,
        seconds: float,
        waited: float | None = None,
        part: str = "test",
    ) -> None:
        """The bar goes, a line stays."""
        self._end(run)
        images = "" if waited is None else f", waited {100 * waited:.0f} % for images"
        line = f"  {run:<28} {part} {metric.noun} {metric.write_with_unit(value):>7} {seconds:8.1f} s{images}"
        self.console.print(line, soft_wrap=True)

    def failed(self, run: str, message: str) -> None:
        """The bar goes, the reason stays."""
        self._end(run, failed=True)
        self.console.print(Text.assemble((f"  {run:<28} failed:", "red"), f" {message}"))

    def _line(self, run: str, epoch: int, epochs: int) -> str:
        elapsed = self.clock() - self.began
        return (
            f"  {self.ended} of {count(self.total, 'run')} finished; {run}: epoch {epoch} of {epochs}; "
            f"{times(elapsed, self.remaining.seconds())}"
        )

    def _end(self, run: str, *, failed: bool = False) -> None:
        self.remaining.end(run, failed=failed)
        self._remove(run)
        self.ended += 1
        if self.study is not None:
            self.bars.advance(self.study)

    def _advance(self, name: str, done: float, total: float, note: str) -> None:
        if name not in self.runs:
            self.runs[name] = self.bars.add_task(name, total=total, note=note)
        self.bars.update(self.runs[name], completed=done, note=note)

    def _remove(self, name: str) -> None:
        if name in self.runs:
            self.bars.remove_task(self.runs.pop(name))
