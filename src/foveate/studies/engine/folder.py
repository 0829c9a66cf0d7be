"""The folder of a study: its lock, the results that it holds, and which folders are refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from foveate.errors import RequestError
from foveate.files import find_obstacle, remove_parts
from foveate.records.base import FORMAT
from foveate.records.files import RESULT, RUNS, STUDY
from foveate.records.metric import CLASSIFICATION, TaskRecord
from foveate.records.run import RunRecord, read_run
from foveate.version import __version__

__all__ = ["find_result", "refuse_unusable_folder", "sole_user"]


@contextmanager
def sole_user(out: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when this process ends, however it ends.

    Temporary files of processes that were killed while they wrote are removed.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            remove_parts(out)
            yield
    except Timeout as error:
        raise RequestError(
            f"another foveate is at work in {out}: wait for it, or give another --out"
        ) from error


def find_result(folder: Path, run: str | None = None, task: TaskRecord = CLASSIFICATION) -> RunRecord | None:
    """Return the record of a finished run, or None where the run is not finished.

    `run` is the id that it must have; without one, a folder among the runs of a study says it by its name.

    Raises:
        RequestError: the record is that of another run, was changed, or has values that cannot be.
    """
    path = folder / RESULT
    if run is None and folder.resolve().parent.name == RUNS:
        run = folder.resolve().name
    return read_run(path, run, task) if path.exists() else None


def refuse_unusable_folder(out: Path) -> None:
    """Refuse a folder that cannot be made or written, and one whose records this version does not write.

    Raises:
        RequestError: naming what is in the way (for another version, both versions) and the way out.
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
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path} is not a study of foveate: give another --out") from error
    if found[0] != FORMAT:
        raise RequestError(
            f"{out} was written by foveate {found[1]} (record format {found[0]}); this is foveate "
            f"{__version__} (record format {FORMAT}): give another --out, or use foveate {found[1]} for it"
        )
