"""Last step: train a study of CIFAR-10 in the remaining time; the next slice resumes it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from foveate.errors import RequestError
from foveate.files import write_json
from foveate.records.file_names import RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.read_run import read_run
from foveate.records.study import StudyRecord
from foveate.studies.compare import begin_study
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.folder import find_result
from foveate.studies.engine.holding import sole_user
from foveate.studies.engine.images import open_study
from foveate.studies.engine.run import execute
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.training.keeping import CHECKPOINT
from gpu_steps.settings import Settings
from gpu_steps.units import plain

STEP = "accuracy"
FAULT = "fault.json"
MARGIN = 1.15
"""A training is expected to take this many times as long as the longest finished one of its mechanism."""


class Progress(NamedTuple):
    """The progress of one run of the study."""

    title: str
    status: str
    accuracy: float | None
    seconds: float | None


def carry_on(settings: Settings, folder: Path, deadline: float) -> None:
    """Carry out the unfinished runs, all candidates of a seed before those of the next seed.

    `deadline` is a time of time.monotonic, when the process is killed; the next slice resumes a run from its
    last checkpoint, which is at most half a minute old. An error is written into FAULT.
    """
    (folder / FAULT).unlink(missing_ok=True)
    try:
        _carry_on(settings, folder, deadline)
    except Exception as error:
        write_json(folder / FAULT, {"error": f"{type(error).__name__}: {error}"})
        raise


def _carry_on(settings: Settings, folder: Path, deadline: float) -> None:
    study, machine = study_of(settings), Machine(settings.device)
    data = open_study(study, folder, machine, Watch())
    with sole_user(folder):
        runs = begin_study(study, data, folder, machine, "python benchmarks/on_gpu.py", Watch()).runs
        for run in runs:
            place = folder / RUNS / run.id
            if find_result(place) is not None:
                continue
            expected = expected_seconds(run, runs, folder)
            if settings.whole_runs and expected is not None and time.monotonic() + expected > deadline:
                return
            try:
                execute(run, data, place, machine)
            except Exception as error:  # the other runs continue
                write_json(place / FAULT, plain({"error": f"{type(error).__name__}: {error}"}))


def study_of(settings: Settings) -> StudySpec:
    """Return the study; RequestError if no data were given."""
    if settings.data is None:
        raise RequestError("the study has no images: give --data, a folder of CIFAR-10's parquet files")
    return make_study(settings.study | {"data": settings.data}, settings.recipe)


def expected_seconds(run: RunSpec, runs: list[RunSpec], folder: Path) -> float | None:
    """Estimate a run's seconds by the finished runs of its mechanism, or else by all finished runs."""
    finished = [(other, result) for other in runs if (result := find_result(folder / RUNS / other.id))]
    own = [result.seconds for other, result in finished if other.attention == run.attention]
    seconds = own or [result.seconds for _, result in finished]
    return MARGIN * max(seconds) if seconds else None


def progress(folder: Path) -> Iterator[Progress]:
    """Yield the progress of each run of the study in `folder`; nothing if it was never started."""
    if not (folder / STUDY).is_file():
        return
    study = read_record(folder / STUDY, StudyRecord)
    for run in study.runs:
        place = folder / RUNS / run.id
        title = f"{run.attention}, seed {run.seed}"
        if (place / RESULT).is_file():
            result = read_run(place / RESULT, run.id)
            yield Progress(title, "done", result.test.value(study.task.primary), result.seconds)
        elif (place / FAULT).is_file():
            yield Progress(title, "failed", None, None)
        else:
            yield Progress(title, "begun" if (place / CHECKPOINT).is_file() else "left", None, None)


def fault_of(folder: Path) -> str | None:
    """Return the error that ended the study early, if there was one."""
    path = folder / FAULT
    return json.loads(path.read_text(encoding="utf-8"))["error"] if path.is_file() else None


def is_waiting(settings: Settings, folder: Path) -> bool:
    """Return whether there are unfinished runs, and images to train on."""
    runs = list(progress(folder))
    return settings.data is not None and (not runs or any(run.status != "done" for run in runs))
