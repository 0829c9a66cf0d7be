"""The plan of a study for a terminal: a table and some sentences."""

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from foveate.notation import count, decimals, listing, magnitude
from foveate.records.labels import display_name
from foveate.records.metric import Metric
from foveate.records.plan import Detectable, Disk, ExpectedSeeds, Plan

__all__ = ["duration", "plan_table"]

COMPARED = {"baseline": " with the baseline", "all": " (all pairs)", "planned": " (those planned)"}
"""What the comparisons are, behind their number."""
UNITS = ((86400, "days"), (3600, "h"), (60, "min"))


def plan_table(planned: Plan) -> Group:
    """Lay out a plan, to be printed with rich."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("candidate", overflow="fold", min_width=10)
    tuned = planned.trials is not None
    for head in (
        *(["trials left"] if tuned else []),
        "runs left",
        "parameters",
        "step, ms",
        "steps",
        "a run",
    ):
        table.add_column(head, justify="right", no_wrap=True)
    for row in planned.candidates:
        table.add_row(
            Text(display_name(row.attention)),
            *([str(row.trials_left or 0)] if tuned else []),
            f"{row.left} of {row.runs}",
            magnitude(row.parameters),
            decimals(row.step_ms, 1),
            f"{row.steps:,}",
            duration(row.run_seconds),
        )
    metric = planned.task.primary
    runs = count(planned.runs - planned.finished, "run")
    trials = sum(row.trials_left or 0 for row in planned.candidates)
    left = f"{count(trials, 'trial')} and {runs}" if trials else runs
    place = f" on {planned.scheduler.capitalize()}" if planned.scheduler else ""
    at_a_time = f", {planned.jobs} at a time{place}" if planned.jobs > 1 or place else ""
    lines = [
        Text(f"{left} to go{at_a_time}: about {duration(planned.total_seconds)}.", style="bold"),
        *map(Text, _shares(planned)),
        *map(Text, _disk(planned.disk)),
        *map(Text, _until_decided(planned.until_decided, metric)),
        *map(Text, _detectable(planned.detectable, COMPARED[planned.tested], metric)),
    ]
    return Group(Padding(table, (1, 0)), *lines)


def _shares(planned: Plan) -> list[str]:
    """Say what the time consists of, and what it does not know."""
    lines = []
    if planned.other_seconds is not None:
        other = planned.other_seconds
        parts = {
            "to start": other.start + other.processes,
            "to measure latencies": other.cost,
            "for the trials of --tune": planned.tuning_seconds or 0.0,
            "to train and test": planned.seconds,
            "to build the report": other.report,
        }
        words = [f"{duration(seconds)} {what}" for what, seconds in parts.items() if seconds]
        lines.append(f"That is {listing(words)}.")
    if planned.recipe.get("patience") is not None:
        lines.append("Runs that the recipe's patience ends early take less.")
    if planned.scheduler is not None:
        lines.append(
            "Steps were measured on this machine; the time in the queue, and until a node has imported "
            "what it needs, is not counted."
        )
    if planned.busy:
        lines.append(
            "Measured under load: other programs were running, so the study may be faster than that."
        )
    return lines


def duration(seconds: float) -> str:
    """Write a time in its natural unit: 45 s, 12.3 min, 3.4 h, 2.1 days."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _disk(disk: Disk) -> list[str]:
    weights, more, free = (size / 1e6 for size in (disk.weights, disk.while_training, disk.free))
    lines = [f"Disk: {weights:,.0f} MB of weights, and {more:,.0f} MB more while it trains."]
    if weights + more > free:
        lines.append(f"That is more than is free there: {free:,.0f} MB. Give another --out.")
    return lines


def _until_decided(rows: tuple[ExpectedSeeds, ...], metric: Metric) -> list[str]:
    """Say how many seeds it will probably take, and what that does not count."""
    lines = []
    for row in rows:
        source = "measured in the finished runs of this study" if row.measured else "assumed"
        true = (
            f"a true difference of {metric.write_size(row.difference)}" if row.difference else "no difference"
        )
        seeds = f"{row.median} seeds" if row.decided >= 0.5 else f"more than {row.max_seeds} seeds"
        spread = f"; eight in ten take {row.low} to {row.high}" if row.decided >= 0.5 else ""
        known = f"differences in {metric.noun} that spread by {metric.write_size(row.spread)} ({source})"
        lines.append(
            f"Until a comparison is decided, with {known} and {true}: probably {seeds}{spread}; "
            f"{100 * row.decided:.0f} % are decided by {row.max_seeds}. "
            f"Runs of {row.median} seeds take about {duration(row.seconds)}."
        )
    if rows and not any(row.image_error for row in rows):
        lines.append(
            "The choice of the test images is not counted there; it is known once runs have finished."
        )
    return lines


def _detectable(rows: tuple[Detectable, ...], compared: str, metric: Metric) -> list[str]:
    lines = []
    for row in rows:
        if row.difference is None:
            return ["One seed can detect nothing: give --seeds 3 or more."]
        source = "measured in the finished runs of this study" if row.measured else "assumed"
        limit = (
            f"a difference of {metric.write_size(row.difference)}"
            if metric.can_differ_by(row.difference)
            else "no possible difference"
        )
        adjusted = f"with p adjusted for {count(row.comparisons, 'comparison')}{compared}"
        lines.append(
            f"If differences in {metric.noun} between seeds spread by {metric.write_size(row.spread)} "
            f"({source}), {limit} would likely be detected, {adjusted}."
        )
    return lines
