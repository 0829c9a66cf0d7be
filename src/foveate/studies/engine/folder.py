"""The folders of a study and of its runs: finished results, reports, and which folders are refused."""

import itertools
import json
import shutil
from pathlib import Path

from foveate.errors import RequestError
from foveate.files import find_obstacle
from foveate.records.base import FORMAT
from foveate.records.file_names import RESULT, RUNS, STUDY
from foveate.records.metric import TaskRecord
from foveate.records.read_run import read_run
from foveate.records.run import RunRecord
from foveate.version import __version__

__all__ = [
    "PAGE",
    "REPORT",
    "find_result",
    "has_report_of",
    "keep_report",
    "refuse_unusable_folder",
]


REPORT, PAGE = "report", "index.html"
COPY = ".report-copy"


def has_report_of(out: Path) -> bool:
    """Return whether a report of the study in `out` was built."""
    return (out / REPORT / PAGE).is_file()


def keep_report(out: Path) -> Path | None:
    """Copy the report and the record of the study in `out` to the first free report-1, report-2, …

    Returns the page of the copy; None if there is no report.
    """
    if not has_report_of(out):
        return None
    free = next(path for number in itertools.count(1) if not (path := out / f"{REPORT}-{number}").exists())
    copy = out / COPY
    shutil.rmtree(copy, ignore_errors=True)  # of a process that was killed
    shutil.copytree(out / REPORT, copy)
    shutil.copyfile(out / STUDY, copy / STUDY)
    copy.rename(free)
    return free / PAGE


def find_result(folder: Path, run: str | None = None, task: TaskRecord | None = None) -> RunRecord | None:
    """Return the record of a finished run, or None if the run is not finished.

    `run` is the id that it must have; by default, in a study's folder of runs, the name of the run's folder.
    `task` is by default that of the run's spec.

    Raises:
        RequestError: the record belongs to another run, was changed, or has an impossible value.
    """
    path = folder / RESULT
    if run is None and folder.resolve().parent.name == RUNS:
        run = folder.resolve().name
    return read_run(path, run, task) if path.exists() else None


def refuse_unusable_folder(out: Path) -> None:
    """Refuse a folder that cannot be created or written to, or whose records have another format.

    Raises:
        RequestError: names the obstacle (for another format, both versions) and the remedy.
    """
    if there := find_obstacle(out):
        fault = "cannot be written to" if there.is_dir() else "is a file"
        raise RequestError(f"the study's folder cannot be {out}: {there} {fault}. Give another --out")
    path = out / STUDY
    if not path.exists():
        return
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
        found = study["format"], study["foveate"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError(
            f"{path} is not a study of foveate: move it away, or give another --out"
        ) from error
    if found[0] != FORMAT:
        raise RequestError(
            f"{out} was written by foveate {found[1]} (record format {found[0]}); this is foveate "
            f"{__version__} (record format {FORMAT}): give another --out, or use foveate {found[1]} for it"
        )
