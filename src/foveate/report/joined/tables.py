"""The tables of several studies side by side, for the page and for a terminal."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import (
    NOTHING,
    decimals,
    interval,
    listing,
    magnitude,
    p_value,
    points,
    signed_percent,
    spread,
)
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.claims import article_cell, conditions
from foveate.report.study.tables import latency_change

__all__ = [
    "differences_table",
    "joined_console",
    "joined_table",
    "note_of_differences",
    "study_titles",
    "to_plain",
]

SIDE_BY_SIDE = "Their rows stand side by side; nothing is averaged over studies."


def study_titles(studies: list[dict[str, Any]]) -> list[str]:
    """Name the studies; those of one name with their folder, too."""
    names = [summary["study"]["name"] for summary in studies]
    twice = {name for name, times in Counter(names).items() if times > 1}
    return [
        f"{name} ({Path(summary['report']).parent.parent})" if name in twice else name
        for name, summary in zip(names, studies, strict=True)
    ]


def to_plain(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the tests against the study's own plain backbone, by mechanism."""
    return {test["b"]: test for test in summary["tests"] if test["a"] == BASELINE}


def note_of_differences(joined: dict[str, Any]) -> str:
    """Say whether the studies are of one kind, and that their rows are not averaged."""
    parts = list(dict.fromkeys(difference["part"] for difference in joined["differences"]))
    if not parts:
        return f"The studies differ in nothing that was recorded beside their mechanisms. {SIDE_BY_SIDE}"
    return (
        f"The studies differ in {listing(parts)}, key by key below. {SIDE_BY_SIDE} What two studies show "
        "differently may come from any of this."
    )


def differences_table(joined: dict[str, Any]) -> Table | None:
    """One row a key in which the studies differ, one column a study; None where they differ in nothing."""
    if not joined["differences"]:
        return None
    columns = [Column("Differs in"), *(Column(title) for title in study_titles(joined["studies"]))]
    rows = [
        [
            Cell(f"{difference['part']}: {difference['key'].replace('_', ' ')}"),
            *(Cell(_in_words(difference["key"], value)) for value in difference["values"]),
        ]
        for difference in joined["differences"]
    ]
    return Table("differences", "What the studies differ in", columns, rows)


def joined_table(joined: dict[str, Any]) -> Table:
    """One row a mechanism of a study, each set against the plain backbone of its own study."""
    against = any("against" in summary for summary in joined["studies"])
    columns = [
        Column("Mechanism", "Below, its study."),
        Column("Accuracy, %", "Mean ± standard deviation over seeds on the test part of its study."),
        Column(
            "Gain over plain, points",
            "Mean difference to the plain backbone of the same study, matched by seed; below, its own 95 % "
            "interval. A dash where the study did not compare the two.",
        ),
        Column("Adjusted p", "Paired t-test, adjusted for the comparisons of its own study alone."),
        Column("Parameters", "Below, the change to the plain backbone of the same study."),
        Column("Multiply-adds", "Of one image, at its study's image size; below, the change likewise."),
        Column("Latency p50, ms", "Comparable inside of a study only: each was measured in its own session."),
    ]
    if against:
        columns.insert(
            2, Column("Article (theirs), %", "Printed accuracy, not measured here; below, its gain.")
        )
    rows = []
    for title, summary in zip(study_titles(joined["studies"]), joined["studies"], strict=True):
        tests = to_plain(summary)
        for row in summary["rows"]:
            cells = [
                Cell(display_name(row["attention"]), title),
                Cell(spread(row["accuracy"], 2, scale=100)),
                *_gain(tests.get(row["attention"])),
                Cell(magnitude(row["parameters"]), _change(row, "parameters")),
                Cell(magnitude(row["macs"]), _change(row, "macs")),
                Cell(decimals(row["latency_ms_p50"], 2), latency_change(row, summary["study"])),
            ]
            if against:
                cells.insert(2, article_cell(summary, row["attention"]))
            rows.append(cells)
    return Table("results", "Results of all studies", columns, rows)


def joined_console(joined: dict[str, Any]) -> Group:
    """Lay out the differences and the rows of all studies, readable at 80 columns."""
    parts: list[Any] = [Text(note_of_differences(joined), style="bold")]
    if table := differences_table(joined):
        grid = _grid([column.title for column in table.columns], folded=len(table.columns))
        for cells in table.rows:
            grid.add_row(*(Text(cell.main) for cell in cells))
        parts.append(Padding(grid, (1, 0, 0, 0)))
    for title, summary in zip(study_titles(joined["studies"]), joined["studies"], strict=True):
        tests, against = to_plain(summary), "against" in summary
        heads = ["mechanism", "accuracy, %", *["gain", "adj. p"] * bool(tests)]
        heads += ["params", "mult-adds", "latency, ms", *["article's, %"] * against]
        grid = _grid(heads, folded=1)
        for row in summary["rows"]:
            test = tests.get(row["attention"])
            tested = (points(test["difference"]), p_value(test["p_adjusted"])) if test else ("", "")
            grid.add_row(
                Text(display_name(row["attention"])),
                spread(row["accuracy"], 2, scale=100),
                *(tested if tests else ()),
                magnitude(row["parameters"]),
                magnitude(row["macs"]),
                decimals(row["latency_ms_p50"], 2),
                *[article_cell(summary, row["attention"]).main] * against,
            )
        theirs = conditions(summary) if against else []
        lines = [Text(sentence) for sentence in (summary["verdict"][0], *summary["missing"], *theirs)]
        parts += [Padding(Text(title, style="bold"), (1, 0, 0, 0)), *lines, Padding(grid, (1, 0, 0, 0))]
    return Group(*parts, Text())


def _grid(heads: list[str], folded: int) -> Grid:
    """A table whose first `folded` columns may break their lines."""
    grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for number, head in enumerate(heads):
        kept = number >= folded
        grid.add_column(
            Text(head),
            justify="right" if kept else "left",
            no_wrap=kept,
            overflow="ellipsis" if kept else "fold",
            min_width=None if kept else 10,
        )
    return grid


def _gain(test: dict[str, Any] | None) -> tuple[Cell, Cell]:
    if test is None:
        return Cell(NOTHING), Cell(NOTHING)
    return (
        Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100)),
        Cell(p_value(test["p_adjusted"])),
    )


def _change(row: dict[str, Any], measure: str) -> str:
    percent = row[f"{measure}_increase_percent"]
    return "" if row["attention"] == BASELINE or percent is None else signed_percent(percent)


def _in_words(key: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if key == "fingerprint":
        return f"{value[:12]}…"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
