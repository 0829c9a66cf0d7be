"""Builds the report of a study: reads its records, writes the page and the files beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from foveate.files import write_text
from foveate.records.study import StudyRecords, read_study
from foveate.report.core.files import write_figures, write_numbers, write_tables
from foveate.report.core.tables import Table
from foveate.report.sections import find_sections
from foveate.report.study.articles import printed_beside
from foveate.report.study.charts import figures
from foveate.report.study.claims import with_article, with_points
from foveate.report.study.class_changes import class_changes_table
from foveate.report.study.confusions import Confusions, find_confusions
from foveate.report.study.contrasts import contrasts_table, search_table, values_table
from foveate.report.study.dynamics import learned_numbers
from foveate.report.study.looks import looks_table
from foveate.report.study.numbers import (
    class_numbers,
    confusion_numbers,
    curve_numbers,
    row_numbers,
    test_numbers,
)
from foveate.report.study.page import render_page
from foveate.report.study.paying import paying_numbers, paying_table
from foveate.report.study.populations import metrics_table
from foveate.report.study.precision_recall import PrecisionCurve, find_curves, precision_numbers
from foveate.report.study.samples import PICTURES, draw_samples
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.tables import results_table, tests_table
from foveate.report.study.tuning import tuning_numbers, tuning_table

__all__ = ["build_report"]


def build_report(folder: Path, against: str | None = None) -> Summary:
    """Write the report of the study in `folder` into its folder report/, and return the summary.

    Args:
        folder: of the study; unfinished runs are named in the report and excluded.
        against: names an article whose printed figures stand beside the study's in columns of their own, in
            this report alone: they are no part of the records.

    Raises:
        RequestError: `folder` is no study that this version reads, or there is no such article.
        WorkError: no run has finished, or a file cannot be written.
    """
    records = read_study(folder)
    summary = summarise(records)
    if against is not None:
        summary = replace(summary, against=printed_beside(against, summary))
    report = summary.report.parent
    sections = find_sections(folder)
    of_sections = [figure for section in sections for figure in section.figures]
    confusions, curves = find_confusions(records), find_curves(summary, records)
    own = figures(summary, records, confusions, curves)
    drawings = write_figures(report, [*own, *of_sections])
    tables = [*_tables(summary), *(table for section in sections for table in section.tables)]
    write_tables(report, tables)
    write_numbers(report, _numbers(summary, records, confusions, curves))
    samples = draw_samples(records, report)
    for section in sections:
        write_numbers(report, section.numbers)
    pictures = [tile.file.stem for sheet in samples.sheets for tile in sheet.tiles] if samples else []
    names = [table.name for table in tables], [figure.name for figure, _ in drawings]
    _delete_others(report, *names, pictures)
    # Written last, so that a page has everything that it names.
    write_text(summary.report, render_page(summary, drawings, sections, confusions, samples))
    return summary


def _tables(summary: Summary) -> list[Table]:
    tables = (
        with_article(results_table(summary), summary),
        tests_table(summary),
        metrics_table(summary),
        looks_table(summary),
        with_points(contrasts_table(summary), summary),
        values_table(summary),
        search_table(summary),
        tuning_table(summary),
        class_changes_table(summary.class_changes, summary.study.task.of_class),
        paying_table(summary),
    )
    return [table for table in tables if table is not None]


def _numbers(
    summary: Summary, records: StudyRecords, confusions: Confusions, curves: Sequence[PrecisionCurve]
) -> dict[str, Iterable[Mapping[str, object]]]:
    """Return the rows of the CSV files by their stems."""
    numbers: dict[str, Iterable[Mapping[str, object]]] = {
        "results": row_numbers(summary),
        "tests": test_numbers(summary),
        "curves": curve_numbers(records),
    }
    some = {
        "per_class": list(class_numbers(records)),
        "confusion": list(confusion_numbers(confusions)),
        "precision_recall": list(precision_numbers(curves)),
        "learned": [row._asdict() for row in learned_numbers(records)],
        "tuning": list(tuning_numbers(summary)),
        "trajectories": list(paying_numbers(summary)),
        "class_changes": [change.to_json() for change in summary.class_changes],
    }
    return numbers | {name: rows for name, rows in some.items() if rows}


def _delete_others(report: Path, tables: list[str], figures: list[str], pictures: list[str]) -> None:
    """Delete what an earlier report in the same folder had and this one does not have."""
    for folder, kinds, kept in (
        (report, (".md", ".tex"), tables),
        (report / "figures", (".svg", ".pdf"), figures),
        (report / PICTURES, (".jpg",), pictures),
    ):
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.suffix in kinds and file.stem not in kept:
                file.unlink()
