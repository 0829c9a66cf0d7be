"""An article's printed figures beside a study's own, in columns marked as theirs; and how they compare."""

from dataclasses import replace

from foveate.evaluation.comparisons import Comparison
from foveate.notation import NOTHING, interval, listing, magnitude
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import contrast_name, p_equation, points
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.printed import PrintedCost, PrintedRow
from foveate.report.study.summary import Summary

__all__ = [
    "article_cell",
    "article_table",
    "claims",
    "conditions",
    "points_cell",
    "with_article",
    "with_points",
]

THEIRS = "Article (theirs)"
TITLES = {
    "accuracy": "Accuracy, %",
    "gain": "Gain over the baseline, points",
    "loss": "Loss",
    "precision": "Precision, %",
    "recall": "Recall, %",
    "f1": "F1, %",
    "parameters": "Parameters",
    "macs": "Multiply-adds",
}
"""The columns of what an article prints, by the field of PrintedRow."""
GROWTHS = {"parameters": "parameters", "macs": "multiply-adds", "latency": "latency"}


def with_article(table: Table, summary: Summary, after: int = 1) -> Table:
    """Return `table`, of the rows of `summary`, with a column of the article's accuracies.

    A summary without an article, or whose article prints nothing of its rows, leaves the table as it is.
    """
    if summary.against is None or not summary.against.rows:
        return table
    cells = [article_cell(summary, row.attention) for row in summary.rows]
    setting = summary.against.setting
    note = f"Printed accuracy, not measured here: {setting}; below, its gain over the baseline."
    return _with_column(table, Column(f"{THEIRS}, %", note), cells, after)


def with_points(table: Table | None, summary: Summary, after: int = 1) -> Table | None:
    """Return `table`, of the comparisons of `summary`, with a column of the article's points."""
    if table is None or summary.against is None or not summary.against.contrasts:
        return table
    cells = [points_cell(summary, test) for test in summary.comparisons]
    note = f"Printed difference, not measured here: {summary.against.contrasts_setting}."
    return _with_column(table, Column(f"{THEIRS}, points", note), cells, after)


def article_cell(summary: Summary, label: str) -> Cell:
    """Return what the article prints of the candidate `label`: its accuracy, and below its gain."""
    printed = summary.against.row(label) if summary.against else PrintedRow()
    return Cell(_accuracy(printed), "" if printed.gain is None else f"gain {_signed(printed.gain)}")


def points_cell(summary: Summary, test: Comparison) -> Cell:
    """Return what the article prints of the comparison `test`."""
    printed = _printed_difference(summary, test)
    return Cell(NOTHING if printed is None else _signed(printed))


def article_table(summary: Summary) -> Table | None:
    """Return all that the article prints of the study's rows; None without an article."""
    if summary.against is None:
        return None
    printed = summary.against.rows
    keys = [key for key in TITLES if any(getattr(row, key) is not None for row in printed.values())]
    notes = {"gain": "Where it is not printed itself, the difference of the printed accuracies."}
    columns = [
        Column("Mechanism"),
        *(Column(f"{TITLES[key]} (theirs)", notes.get(key, "")) for key in keys),
    ]
    rows = [
        [Cell(display_name(label)), *(Cell(_as_printed(key, row)) for key in keys)]
        for label, row in printed.items()
    ]
    return Table("article", f"Printed in {summary.against.by}", columns, rows)


def conditions(summary: Summary) -> list[str]:
    """Say what the article's figures are of, and in which respects this study is another.

    There is nothing to say without an article.
    """
    against = summary.against
    if against is None:
        return []
    if against.is_empty:
        return [f"{against.by} prints no figure for any row of this study."]
    sentences = []
    if against.rows:
        sentences.append(_setting("Printed accuracies", against.setting, against.differs))
    if against.contrasts and against.contrasts_setting != against.setting:
        sentences.append(_setting("Printed points", against.contrasts_setting, against.contrasts_differ))
    return sentences + (_prices(against.cost, against.rows) if against.cost else [])


def claims(summary: Summary) -> list[str]:
    """Say of each printed gain whether it lies inside of this study's own interval.

    There is nothing to say without an article.
    """
    sentences = []
    for test in summary.comparisons:
        printed = _printed_difference(summary, test)
        if printed is None or (test.group is None and test.a != BASELINE):
            continue
        what = display_name(test.b) if test.group is None else contrast_name(test)
        sentences.append(f"{what}: the article's {_signed(printed)} points {_verdict(printed, test)}")
    return sentences


def _verdict(printed: float, test: Comparison) -> str:
    if test.test.ci95 is None:
        return "can neither be shown nor refuted here: that takes two seeds that differ."
    low, high = test.test.ci95
    seen = f"this study's 95 % interval ({interval((low, high), 2, scale=100)})"
    evidence = f"seen {points(test.test.difference)}"
    if test.p_adjusted is not None:
        evidence += f", adjusted {p_equation(test.p_adjusted)}"
    if printed > high:
        return f"lie above {seen}: so large a gain does not show here ({evidence})."
    if printed < low:
        return f"lie below {seen}: what was seen here is more ({evidence})."
    if test.is_significant:
        return f"lie inside of {seen}, and a gain was shown ({evidence})."
    return f"lie inside of {seen}: not refuted here, and no gain was shown either ({evidence})."


def _printed_difference(summary: Summary, test: Comparison) -> float | None:
    return summary.against.difference(test.a, test.b, test.title, test.group) if summary.against else None


def _setting(what: str, setting: str, differs: tuple[str, ...]) -> str:
    if not differs:
        return f"{what} are of {setting}. As far as is recorded that is this study's setting."
    return f"{what} are of {setting}. This study's setting is another: {listing([*differs])}."


def _prices(cost: PrintedCost, rows: dict[str, PrintedRow]) -> list[str]:
    sentences = []
    for label, growth in cost.rows.items():
        if label in rows:
            changes = [f"{name} {getattr(growth, measure):+g} %" for measure, name in GROWTHS.items()]
            sentences.append(f"Printed price of {display_name(label)} ({cost.words}): {listing(changes)}.")
    return sentences


def _as_printed(key: str, row: PrintedRow) -> str:
    value = getattr(row, key)
    if value is None:
        return NOTHING
    if key == "accuracy":
        return _accuracy(row)
    if key == "gain":
        return _signed(value)
    if key in ("parameters", "macs"):
        return magnitude(value)
    return _shortest(value, 1 if key == "loss" else 100)


def _accuracy(row: PrintedRow) -> str:
    if row.accuracy is None:
        return NOTHING
    return _shortest(row.accuracy, 100) + ("" if row.std is None else f" ± {_shortest(row.std, 100)}")


def _shortest(value: float, scale: float) -> str:
    """Return `value` times `scale` without digits that were not printed."""
    return f"{round(scale * value, 6):g}"


def _signed(fraction: float) -> str:
    return f"{round(100 * fraction, 6):+g}".replace("-", "−")


def _with_column(table: Table, column: Column, cells: list[Cell], after: int) -> Table:
    columns = [*table.columns[: after + 1], column, *table.columns[after + 1 :]]
    rows = [[*row[: after + 1], cell, *row[after + 1 :]] for row, cell in zip(table.rows, cells, strict=True)]
    return replace(table, columns=columns, rows=rows)
