"""An article's printed figures beside a study's own: a column that is theirs, and what does not show here."""

from dataclasses import replace
from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import NOTHING, interval, listing, magnitude, p_value, points
from foveate.report.core.tables import Cell, Column, Table

__all__ = ["article_cell", "article_table", "claims", "conditions", "with_article", "with_points"]

THEIRS = "Article (theirs)"
TITLES = {
    "accuracy": "Accuracy, %",
    "gain": "Gain over plain, points",
    "loss": "Loss",
    "precision": "Precision, %",
    "recall": "Recall, %",
    "f1": "F1, %",
    "parameters": "Parameters",
    "macs": "Multiply-adds",
}


def with_article(table: Table, summary: dict[str, Any], after: int = 1) -> Table:
    """Put the article's accuracies into `table` of the rows of `summary`, in a column marked as theirs.

    A summary that is set against no article leaves the table as it is.
    """
    if "against" not in summary:
        return table
    cells = [article_cell(summary, row["attention"]) for row in summary["rows"]]
    note = (
        f"Printed accuracy, not measured here: {summary['against']['setting']}; below, its gain over plain."
    )
    return _with_column(table, Column(f"{THEIRS}, %", note), cells, after)


def with_points(table: Table | None, summary: dict[str, Any], after: int = 1) -> Table | None:
    """Put the article's points likewise into `table`, whose rows are the tests of `summary`."""
    if table is None or "against" not in summary:
        return table
    cells = [points_cell(summary, test) for test in summary["tests"]]
    note = f"Printed difference, not measured here: {summary['against']['contrasts_setting']}."
    return _with_column(table, Column(f"{THEIRS}, points", note), cells, after)


def article_cell(summary: dict[str, Any], label: str) -> Cell:
    """What the article prints for the mechanism `label`: its accuracy, and below its gain over plain."""
    printed = summary["against"]["rows"].get(label, {}) if "against" in summary else {}
    main = _shortest(printed["accuracy"], 100) if "accuracy" in printed else NOTHING
    deviation = f" ± {_shortest(printed['std'], 100)}" if "std" in printed else ""
    return Cell(main + deviation, f"gain {_signed(printed['gain'])}" if "gain" in printed else "")


def points_cell(summary: dict[str, Any], test: dict[str, Any]) -> Cell:
    """What the article prints of the comparison `test`."""
    printed = _printed_points(summary, test)
    return Cell(NOTHING if printed is None else _signed(printed))


def article_table(summary: dict[str, Any]) -> Table:
    """All that the article prints of the study's rows, and nothing of ours."""
    printed = summary["against"]["rows"]
    shown = [key for key in TITLES if any(key in row for row in printed.values())]
    notes = {"gain": "Where it is not printed itself, the difference of the printed accuracies."}
    columns = [
        Column("Mechanism"),
        *(Column(f"{TITLES[key]} (theirs)", notes.get(key, "")) for key in shown),
    ]
    rows = [
        [Cell(display_name(label)), *(Cell(_as_printed(key, row)) for key in shown)]
        for label, row in printed.items()
    ]
    return Table("article", f"Printed in {summary['against']['by']}", columns, rows)


def conditions(summary: dict[str, Any]) -> list[str]:
    """Say of what the article's figures are, and in which respects this study is another."""
    against = summary["against"]
    if not against["rows"] and not against["contrasts"]:
        return [f"{against['by']} prints no figure for any row of this study."]
    sentences = [_setting("Printed accuracies", against["setting"], against["differs"])] * bool(
        against["rows"]
    )
    if against["contrasts"] and against["contrasts_setting"] != against["setting"]:
        sentences.append(
            _setting("Printed points", against["contrasts_setting"], against["contrasts_differ"])
        )
    cost = against["cost"]
    for label in cost["rows"] if cost else ():
        if label in against["rows"]:
            changes = [
                f"{name} {cost['rows'][label][measure]:+g} %"
                for measure, name in (
                    ("parameters", "parameters"),
                    ("macs", "multiply-adds"),
                    ("latency", "latency"),
                )
            ]
            sentences.append(f"Printed price of {label} ({cost['words']}): {listing(changes)}.")
    return sentences


def claims(summary: dict[str, Any]) -> list[str]:
    """Say of each printed gain whether it lies inside of this study's own interval; [] without an article."""
    if "against" not in summary:
        return []
    sentences = []
    for test in summary["tests"]:
        printed = _printed_points(summary, test)
        if printed is None or ("group" not in test and test["a"] != BASELINE):
            continue
        what = f"{test['title']}, {test['group']}" if "group" in test else test["b"]
        claim = f"{what}: the article's {_signed(printed)} points"
        sentences.append(f"{claim} {_verdict(printed, test, summary['study']['statistics']['alpha'])}")
    return sentences


def _verdict(printed: float, test: dict[str, Any], alpha: float) -> str:
    if test["ci95"] is None:
        return "can neither be shown nor refuted here: that takes two seeds that differ."
    low, high = test["ci95"]
    seen = f"this study's 95 % interval ({interval([low, high], 2, scale=100)})"
    p = test["p_adjusted"]
    evidence = (
        f"seen {points(test['difference'])}"
        if p is None
        else (f"seen {points(test['difference'])}, adjusted p {'' if p < 0.001 else '= '}{p_value(p)}")
    )
    if printed > high:
        return f"lie above {seen}: so large a gain does not show here ({evidence})."
    if printed < low:
        return f"lie below {seen}: what was seen here is more ({evidence})."
    if p is not None and p < alpha:
        return f"lie inside of {seen}, and a gain was shown ({evidence})."
    return f"lie inside of {seen}: not refuted here, and no gain was shown either ({evidence})."


def _printed_points(summary: dict[str, Any], test: dict[str, Any]) -> float | None:
    named = [test["a"], test["b"], test.get("title"), test.get("group")]
    for contrast in summary.get("against", {}).get("contrasts", ()):
        if [contrast["a"], contrast["b"], contrast.get("title"), contrast.get("group")] == named:
            return contrast["difference"]
    return None


def _setting(what: str, setting: str, differs: list[str]) -> str:
    if not differs:
        return f"{what} are of {setting}. As far as is recorded that is this study's setting."
    return f"{what} are of {setting}. This study's setting is another: {listing(differs)}."


def _as_printed(key: str, row: dict[str, float]) -> str:
    if key not in row:
        return NOTHING
    if key == "accuracy" and "std" in row:
        return f"{_shortest(row['accuracy'], 100)} ± {_shortest(row['std'], 100)}"
    if key == "gain":
        return _signed(row[key])
    if key in ("parameters", "macs"):
        return magnitude(row[key])
    return _shortest(row[key], 1 if key == "loss" else 100)


def _shortest(value: float, scale: float) -> str:
    """No digits that were not printed."""
    return f"{round(scale * value, 6):g}"


def _signed(fraction: float) -> str:
    return f"{round(100 * fraction, 6):+g}".replace("-", "−")


def _with_column(table: Table, column: Column, cells: list[Cell], after: int) -> Table:
    columns = [*table.columns[: after + 1], column, *table.columns[after + 1 :]]
    rows = [[*row[: after + 1], cell, *row[after + 1 :]] for row, cell in zip(table.rows, cells, strict=True)]
    return replace(table, columns=columns, rows=rows)
