"""What a study and an examination show of their progress: on a terminal, and in a log."""

import io
import re

import pytest
from rich.console import Console

from foveate.cli.bar import shown_on
from foveate.cli.console import PrintableConsole
from foveate.cli.progress import ProgressWatch
from foveate.cli.times import Pace, times
from foveate.records.metric import CLASSIFICATION
from foveate.report.core.console import terminal_table
from foveate.report.core.tables import Cell
from foveate.studies.engine.watch import WaitingRun

RUNS = [WaitingRun(f"{label}, seed 0", label) for label in ("none", "se")]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def console(*, terminal: bool) -> Console:
    return PrintableConsole(file=io.StringIO(), force_terminal=terminal, width=120)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_times_are_labelled() -> None:
    assert times(72.4, 3723) == "elapsed 0:01:12, remaining 1:02:03"
    assert times(0, None) == "elapsed 0:00:00, remaining –"


def test_a_log_has_a_line_a_minute_with_the_time_of_the_whole_study(clock: Clock) -> None:
    log = console(terminal=False)
    with ProgressWatch(log, clock) as watch:
        watch.planned(2, 0)
        watch.waiting(RUNS, 1)
        for step in range(1, 301):  # 30 s an epoch, four calls a second
            watch.step("none, seed 0", 1 + step // 100, 10, step % 100, 100, 0.5)
            clock.now += 0.3
        watch.finished("none, seed 0", CLASSIFICATION.primary, 0.9, 90.0)
    lines = written(log).splitlines()
    assert len(lines) == 2  # of 90 s, one after a minute, and the finished run
    assert lines[0].startswith(
        "  0 of 2 runs finished; none, seed 0: epoch 3 of 10; elapsed 0:01:00, remaining 0:0"
    )
    assert "none, seed 0" in lines[1]
    assert "test accuracy 90.00 %     90.0 s" in lines[1]


def test_a_terminal_has_the_remaining_time_from_the_first_epoch_on() -> None:
    terminal = console(terminal=True)
    with ProgressWatch(terminal) as watch:
        watch.planned(2, 0)
        watch.waiting(RUNS, 1)
        watch.step("none, seed 0", 1, 10, 1, 100, None)
        watch.bars.refresh()
        assert re.search(r"runs .*0/2 +elapsed \d:\d\d:\d\d, remaining –", written(terminal))
        watch.step("none, seed 0", 1, 10, 90, 100, None)
        watch.bars.refresh()
        assert re.search(r"runs .*0/2 +elapsed \d:\d\d:\d\d, remaining 0:00:\d\d", written(terminal))
        watch.finished("none, seed 0", CLASSIFICATION.primary, 0.9, 90.0)
        watch.step("none, seed 0", 10, 10, 100, 100, None)  # late, from a worker process
        assert watch.runs == {}


def test_an_examination_has_a_named_bar_with_a_total_and_times() -> None:
    terminal = console(terminal=True)
    with shown_on(terminal) as on_progress:
        on_progress("corruptions", 3.25, 76, "gaussian_noise 2")
        on_progress("corruptions", 3.5, 76, "gaussian_noise 2")
    assert re.search(
        r"corruptions .* 3/76 +elapsed \d:\d\d:\d\d, remaining \S+ gaussian_noise 2", written(terminal)
    )


def test_in_a_log_an_examination_has_a_line_where_something_begins_and_one_a_minute(clock: Clock) -> None:
    log = console(terminal=False)
    with shown_on(log, clock) as on_progress:
        for part in range(100):
            on_progress("corruptions", part, 100, f"fog {part}")
            clock.now += 1.5
        on_progress("attacks", 0, 2, "se: fgsm")
    assert written(log).splitlines() == [
        "corruptions …",
        "corruptions: 40 of 100 (fog 40); elapsed 0:01:00, remaining 0:01:30",
        "corruptions: 80 of 100 (fog 80); elapsed 0:02:00, remaining 0:00:30",
        "attacks …",
    ]


def test_what_was_done_before_does_not_speed_the_pace(clock: Clock) -> None:
    pace = Pace(50, clock)
    assert pace.remaining(100) is None
    clock.now += 10
    pace.update(60)
    assert pace.remaining(100) == pytest.approx(40)
    clock.now += 5
    assert pace.remaining(100) == pytest.approx(35)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_with_brackets_and_colons_are_printed_as_they_are(terminal: bool) -> None:
    name, run = "[bold]photos[/bold] :cat: [x0, y0]", "dmsca(kernel_sizes=[3,5]), seed 0"
    there = console(terminal=terminal)
    with ProgressWatch(there) as watch:
        watch.reading(name)
        watch.note(name)
        watch.fetching(name)
        watch.planned(2, 1)
        watch.waiting([WaitingRun(run, run)], 1)
        watch.step(run, 1, 10, 1, 100, None)
        watch.bars.refresh()
        watch.finished(run, CLASSIFICATION.primary, 0.9, 90.0)
        watch.failed(run, name)
    with shown_on(there) as on_progress:
        on_progress(name, 1, 2, "[x0]")
    there.print(name)
    there.print(terminal_table([name], [[name], [Cell(name, "[x1]")]], title=name))
    said = " ".join(written(there).split())
    assert said.count(name) >= 8
    assert said.count(run) >= 2
    assert "[x1]" in said
    assert "\\[" not in said
