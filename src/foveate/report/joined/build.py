"""Builds the page of several studies: their rows side by side, not averaged, and what they differ in."""

from collections.abc import Sequence
from pathlib import Path

from foveate.errors import RequestError
from foveate.files import write_csv, write_text
from foveate.records.study import StudyRecords, read_study
from foveate.report.core.files import as_markdown, write_figures
from foveate.report.joined.charts import joined_figures
from foveate.report.joined.differences import find_differences
from foveate.report.joined.page import render_joined
from foveate.report.joined.studies import JoinedStudies
from foveate.report.joined.tables import differences_table, joined_table
from foveate.report.study.article_names import check_article
from foveate.report.study.build import build_report
from foveate.report.study.numbers import row_numbers

__all__ = ["join_reports"]


def join_reports(
    folders: Sequence[Path], out: Path | None = None, against: str | None = None
) -> JoinedStudies:
    """Build the report of each study in `folders`, and in `out` one page that has them side by side.

    Args:
        folders: of two studies or more.
        out: the folder of the page, by default `joined` beside the first study.
        against: an article whose printed figures stand beside theirs.

    Raises:
        RequestError: fewer than two folders, one given twice, one that is no study, studies of different
            metrics, an unknown article, or an `out` that is a study's folder.
        WorkError: no run of a study has finished, or a file cannot be written.
    """
    _refuse_few_or_twice(folders)
    if against is not None:
        check_article(against)
    # Read all of them before anything is written.
    records = [read_study(folder) for folder in folders]
    _refuse_several_metrics(records)
    out = folders[0].resolve().parent / "joined" if out is None else out
    own = [folder.resolve() / "report" for folder in folders]
    if (out / "study.json").exists() or out.resolve() in own:
        raise RequestError(f"{out} is a study's folder: give the joined report another --out")
    joined = JoinedStudies(
        studies=tuple(build_report(folder, against) for folder in folders),
        differences=find_differences(records),
        report=out / "index.html",
    )
    drawings = write_figures(out, joined_figures(joined))
    for table in filter(None, (joined_table(joined), differences_table(joined))):
        write_text(out / f"{table.name}.md", as_markdown(table))
    rows = [{"study": title, **row} for title, summary in joined.titled for row in row_numbers(summary)]
    write_csv(out / "results.csv", rows)
    # Written last, so that a page has everything that it names.
    write_text(joined.report, render_joined(joined, drawings, out))
    return joined


def _refuse_few_or_twice(folders: Sequence[Path]) -> None:
    if len(folders) < 2:
        raise RequestError(f"joining takes two studies or more, given {len(folders)}")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise RequestError(
                f"{seen[folder.resolve()]} and {folder} are the same study: name each of them once"
            )
        seen[folder.resolve()] = folder


def _refuse_several_metrics(records: Sequence[StudyRecords]) -> None:
    first, *others = ((one.folder, one.study.task.primary) for one in records)
    for folder, metric in others:
        if metric != first[1]:
            raise RequestError(
                f"{first[0]} compares by {first[1].heading} and {folder} by {metric.heading}: join studies "
                "of the same metric"
            )
