"""Builds the report of a study: reads its records, writes the page and what lies beside it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from foveate.files import write_csv, write_text
from foveate.records.labels import display_name
from foveate.records.study import read_records
from foveate.report.core.files import as_latex, as_markdown, beside, write_figures
from foveate.report.core.frame import render
from foveate.report.core.section import Section
from foveate.report.core.tables import Table
from foveate.report.core.theme import Figure
from foveate.report.sections import find_examined, find_sections
from foveate.report.study.articles import printed_beside
from foveate.report.study.charts import figures
from foveate.report.study.claims import with_article, with_points
from foveate.report.study.class_changes import class_changes_table
from foveate.report.study.contrasts import contrasts_table, search_table, values_table
from foveate.report.study.dynamics import learned_numbers
from foveate.report.study.numbers import (
    class_numbers,
    confusion_numbers,
    curve_numbers,
    row_numbers,
    test_numbers,
)
from foveate.report.study.page import render_page
from foveate.report.study.summary import summarise
from foveate.report.study.tables import results_table, tests_table
from foveate.version import __version__

__all__ = ["build_examination", "build_report"]


def build_report(folder: Path, against: str | None = None) -> dict[str, Any]:
    """Write the report of the study in `folder` into its folder report/, and return the summary.

    The summary is that of `foveate.report.study.summary.summarise`; its "report" is the path of the page.
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
    sections = find_sections(folder)
    drawings = write_figures(report, [*figures(summary, records), *_figures(sections)])
    tables = (
        with_article(results_table(summary), summary),
        tests_table(summary),
        with_points(contrasts_table(summary), summary),
        values_table(summary),
        search_table(summary),
        class_changes_table(summary["class_changes"]),
        *(table for section in sections for table in section.tables),
    )
    shown = [table for table in tables if table is not None]
    numbers: dict[str, Iterable[Mapping[str, Any]]] = {
        "results": row_numbers(summary),
        "tests": test_numbers(summary),
        "curves": curve_numbers(records),
        "per_class": class_numbers(records),
        "confusion": confusion_numbers(records),
    }
    if learned := list(learned_numbers(records)):
        numbers["learned"] = iter(learned)
    if summary["class_changes"]:
        numbers["class_changes"] = summary["class_changes"]
    for section in sections:
        numbers |= section.numbers
    _write_beside(report, shown, numbers)
    _take_away_others(report, [table.name for table in shown], [figure.name for figure, _ in drawings])
    # Last, so that a page that is there has everything that it names.
    write_text(Path(summary["report"]), render_page(summary, drawings, sections))
    return summary


def build_examination(folder: Path) -> Path:
    """Write the page of what was examined in `folder`, where no study was run, and return its path.

    It has a section for each record that is there; tables, numbers and figures lie beside it as with a study.
    """
    examined = find_examined(folder)
    records, sections = [one.record for one in examined], [one.section for one in examined]
    report = folder / "report"
    drawings = write_figures(report, _figures(sections))
    for section in sections:
        _write_beside(report, section.tables, section.numbers)
    networks = [network for record in records for network in record["networks"]]
    title = ", ".join(dict.fromkeys(_called(network) for network in networks))
    content = {"title": title, "version": __version__, "records": records, "sections": sections}
    write_text(report / "index.html", render("core/examined.html.j2", drawings, **content))
    return report / "index.html"


def _called(network: dict[str, Any]) -> str:
    """A run by its mechanism, for nobody knows its hash; what is from elsewhere by its name."""
    if network["seed"] is None:
        return str(network["name"])
    return f"{network['backbone']} {display_name(network['label'])}, seed {network['seed']}"


def _figures(sections: list[Section]) -> list[Figure]:
    return [figure for section in sections for figure in section.figures]


def _write_beside(
    report: Path, tables: list[Table], numbers: Mapping[str, Iterable[Mapping[str, Any]]]
) -> None:
    for table in tables:
        write_text(beside(report, f"{table.name}.md"), as_markdown(table))
        write_text(beside(report, f"{table.name}.tex"), as_latex(table))
    for name, rows in numbers.items():
        write_csv(beside(report, f"{name}.csv"), rows)


def _take_away_others(report: Path, tables: list[str], figures: list[str]) -> None:
    """Delete tables and figures of an earlier study in the same folder that this one does not have."""
    for folder, kinds, kept in (
        (report, (".md", ".tex"), tables),
        (report / "figures", (".svg", ".pdf"), figures),
    ):
        for file in folder.iterdir():
            if file.suffix in kinds and file.stem not in kept:
                file.unlink()
