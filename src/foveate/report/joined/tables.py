"""The tables of several studies side by side, for the page and for a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from foveate.evaluation.comparisons import Comparison
from foveate.notation import NOTHING, decimals, listing, magnitude, p_value
from foveate.records.base import Json
from foveate.records.labels import display_name
from foveate.report.core.console import terminal_table
from foveate.report.core.notation import score
from foveate.report.core.outcomes import outcome_cell
from foveate.report.core.paired import RATIO_NOTE
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.joined.studies import JoinedStudies
from foveate.report.study.claims import article_cell, conditions
from foveate.report.study.contrasts import gain_cell
from foveate.report.study.summary import Summary
from foveate.report.study.tables import change_from_baseline, latency_change

__all__ = ["differences_table", "joined_console", "joined_table", "note_of_differences"]

SIDE_BY_SIDE = "Their rows stand side by side; nothing is averaged over studies."
DIGEST = 12
"""This many digits of a fingerprint are enough to see that two differ."""


def note_of_differences(joined: JoinedStudies) -> str:
    """Say whether the studies are of one kind, and that their rows are not averaged."""
    parts = list(dict.fromkeys(difference.part for difference in joined.differences))
    if not parts:
        return f"The studies differ in nothing that was recorded besides their mechanisms. {SIDE_BY_SIDE}"
    return (
        f"The studies differ in {listing(parts)}, key by key below. {SIDE_BY_SIDE} What two studies show "
        "differently may come from any of this."
    )


def differences_table(joined: JoinedStudies) -> Table | None:
    """Return one row per key that differs, one column per study; None where nothing differs."""
    if not joined.differences:
        return None
    columns = [Column("Differs in"), *(Column(title) for title, _ in joined.titled)]
    rows = [
        [
            Cell(f"{difference.part}: {difference.key.replace('_', ' ')}"),
            *(Cell(_written(difference.key, value)) for value in difference.values),
        ]
        for difference in joined.differences
    ]
    return Table("differences", "What the studies differ in", columns, rows)


def joined_table(joined: JoinedStudies) -> Table:
    """Return one row per candidate of a study, each beside the baseline of its own study."""
    metric = joined.metric
    columns = [
        Column("Mechanism", "Below, its study."),
        Column(metric.heading, "Mean ± standard deviation over seeds on the test part of its study."),
        *[Column("Article (theirs), %", "Printed accuracy, not measured here; below, its gain.")]
        * (joined.article is not None),
        Column(
            metric.heading_of_difference("Gain over the baseline"),
            "Mean difference to the baseline of the same study, matched by seed; below, its own 95 % "
            "interval. A dash where the study did not compare the two.",
        ),
        Column(
            "Adjusted p",
            "Of a paired test, adjusted for the comparisons, and planned looks, of its own study alone; "
            "below, what was shown.",
        ),
        Column("Parameters", "Below, the change to the baseline of the same study."),
        Column("Multiply-adds", "Of one image, at its study's image size; below, the change likewise."),
        Column(
            "Latency p50, ms",
            "Comparable inside of a study only: each was measured in its own session. Below, the change to "
            f"the baseline of the same study: {RATIO_NOTE}.",
        ),
    ]
    rows = [row for title, summary in joined.titled for row in _rows(title, summary)]
    return Table("results", "Results of all studies", columns, rows)


def _rows(title: str, summary: Summary) -> Iterator[list[Cell]]:
    for row in summary.rows:
        test, price = summary.against_baseline.get(row.attention), row.price
        yield [
            Cell(display_name(row.attention), title),
            Cell(score(row.scores[summary.metric.name], summary.metric)),
            *[article_cell(summary, row.attention)] * (summary.against is not None),
            gain_cell(summary, test) if test else Cell(NOTHING),
            outcome_cell(test.test, test.p_adjusted, test.outcome) if test else Cell(NOTHING),
            Cell(magnitude(price.parameters), change_from_baseline(row, price.parameters_increase_percent)),
            Cell(magnitude(price.macs), change_from_baseline(row, price.macs_increase_percent)),
            Cell(decimals(price.latency_ms_p50, 2), latency_change(row, summary)),
        ]


def joined_console(joined: JoinedStudies) -> Group:
    """Lay out the differences and the rows of all studies, readable at 80 columns."""
    parts: list[RenderableType] = [Text(note_of_differences(joined), style="bold")]
    if table := differences_table(joined):
        heads = [column.title for column in table.columns]
        lines = ([cell.main for cell in row] for row in table.rows)
        grid = terminal_table(heads, lines, named=len(heads), widths=[10] * len(heads))
        parts.append(Padding(grid, (1, 0, 0, 0)))
    for title, summary in joined.titled:
        sentences = [summary.verdict[0], *summary.missing, *conditions(summary)]
        parts.append(Padding(Text(title, style="bold"), (1, 0, 0, 0)))
        parts += [*map(Text, sentences), Padding(_terminal_rows(summary), (1, 0, 0, 0))]
    return Group(*parts, Text())


def _terminal_rows(summary: Summary) -> RenderableType:
    metric, tests = summary.metric, summary.against_baseline
    heads = ["mechanism", metric.lower_heading, *["gain", "adj. p"] * bool(tests)]
    heads += ["params", "mult-adds", "latency, ms", *["article's, %"] * (summary.against is not None)]
    rows = [
        [
            display_name(row.attention),
            score(row.scores[metric.name], metric),
            *(_gain(summary, tests.get(row.attention)) if tests else ()),
            magnitude(row.price.parameters),
            magnitude(row.price.macs),
            decimals(row.price.latency_ms_p50, 2),
            *[article_cell(summary, row.attention).main] * (summary.against is not None),
        ]
        for row in summary.rows
    ]
    return terminal_table(heads, rows)


def _gain(summary: Summary, test: Comparison | None) -> tuple[str, str]:
    return (gain_cell(summary, test).main, p_value(test.p_adjusted)) if test else ("", "")


def _written(key: str, value: Json) -> str:
    if value is None:
        return NOTHING
    if key == "fingerprint":
        return f"{str(value)[:DIGEST]}…"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
