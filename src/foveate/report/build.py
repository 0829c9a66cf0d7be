"""Builds the report of a study: reads its records, writes the page and what lies beside it."""

from pathlib import Path
from typing import Any

from foveate.files import write_csv, write_text
from foveate.report.articles import printed_beside
from foveate.report.charts import figures
from foveate.report.claims import with_article, with_points
from foveate.report.contrasts import contrasts_table, search_table, values_table
from foveate.report.dynamics import learned_numbers
from foveate.report.files import as_latex, as_markdown, write_figures
from foveate.report.numbers import (
    class_numbers,
    confusion_numbers,
    curve_numbers,
    row_numbers,
    test_numbers,
)
from foveate.report.page import render_page
from foveate.report.records import read_records
from foveate.report.summary import summarise
from foveate.report.tables import results_table, tests_table

__all__ = ["build_report"]


def build_report(folder: Path, against: str | None = None) -> dict[str, Any]:
    """Write the report of the study in `folder` into its folder report/, and return the summary.

    The summary is that of `foveate.report.summary.summarise`; its "report" is the path of the page.
    Unfinished runs are named there and left out. `against` names an article whose printed figures stand
    beside the study's in columns of their own, in this build alone: they are no part of the records. Raises
    RequestError where `folder` is no study that this version reads or there is no such article, WorkError
    where no run has finished or a file cannot be written.
    """
    records = read_records(folder)
    summary = summarise(records)
    if against is not None:
        summary["against"] = printed_beside(against, summary)
    report = folder / "report"
    drawings = write_figures(report, figures(summary, records))
    tables = (
        with_article(results_table(summary), summary),
        tests_table(summary),
        with_points(contrasts_table(summary), summary),
        values_table(summary),
        search_table(summary),
    )
    shown = [table for table in tables if table is not None]
    for table in shown:
        write_text(report / f"{table.name}.md", as_markdown(table))
        write_text(report / f"{table.name}.tex", as_latex(table))
    numbers = {
        "results": row_numbers(summary),
        "tests": test_numbers(summary),
        "curves": curve_numbers(records),
        "per_class": class_numbers(records),
        "confusion": confusion_numbers(records),
    }
    if learned := list(learned_numbers(records)):
        numbers["learned"] = iter(learned)
    for name, rows in numbers.items():
        write_csv(report / f"{name}.csv", rows)
    _take_away_others(report, [table.name for table in shown], [figure.name for figure, _ in drawings])
    # Last, so that a page that is there has everything that it names.
    write_text(Path(summary["report"]), render_page(summary, drawings))
    return summary


def _take_away_others(report: Path, tables: list[str], figures: list[str]) -> None:
    """Delete tables and figures of an earlier study in the same folder that this one does not have."""
    for folder, kinds, kept in (
        (report, (".md", ".tex"), tables),
        (report / "figures", (".svg", ".pdf"), figures),
    ):
        for file in folder.iterdir():
            if file.suffix in kinds and file.stem not in kept:
                file.unlink()
