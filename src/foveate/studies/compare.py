"""`foveate compare`: mechanisms × seeds, resumable, from a spec to a report."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from foveate.data import Data, load_data
from foveate.errors import DiskError, ImagesChangedError, RequestError, WorkError, WorkersLostError
from foveate.evaluation.significance import ALPHA, POWER
from foveate.models.backbones.create import own_image_size
from foveate.records.base import FORMAT
from foveate.records.files import RUNS, STUDY, write_record
from foveate.records.metric import CLASSIFICATION
from foveate.records.run import RunRecord, waiting_share
from foveate.records.study import FailedRun, PlannedRun, Statistics, StudyData, StudyRecord
from foveate.studies.engine.controls import with_controls
from foveate.studies.engine.cost import measure_cost
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.fingerprints import (
    as_begun,
    as_seen_by_parent,
    changed_images,
    describe_fingerprint,
)
from foveate.studies.engine.folder import find_result, refuse_unusable_folder, sole_user
from foveate.studies.engine.network import check_forward, check_networks
from foveate.studies.engine.pool import Outcome, run_in_processes
from foveate.studies.engine.run import Machine, execute, make_augmentation
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import DataChoice, RunSpec, StudySpec
from foveate.tasks import find_task
from foveate.version import __version__

__all__ = [
    "begin_study",
    "compare",
    "describe_data",
    "open_again",
    "open_data",
    "open_study",
    "own_gpu",
]

MEASURED_AGAIN_AFTER = 60.0
"""Seconds of training beside which the some six of another measurement of latencies are little."""


def compare(
    study: StudySpec,
    out: Path,
    machine: Machine,
    *,
    jobs: int = 1,
    command: str = "",
    watch: Watch | None = None,
    data: Data | None = None,
) -> None:
    """Run what is not finished of `study` in the folder `out`.

    `data` are the study's images where they were opened before. The runs that failed are named in the
    study's record.

    Raises:
        RequestError: the study cannot be started; nothing was changed.
        WorkError: no run could be finished, or the disk is full; what was finished is kept.
    """
    watch = watch or Watch()
    refuse_unusable_folder(out)
    data = data or open_study(study, out, machine, watch)
    with sole_user(out):
        torch.set_num_threads(machine.threads * jobs)
        runs, record = begin_study(study, data, out, machine, command, watch)
        task = find_task(study.task).record
        waiting = [run for run in runs if find_result(out / RUNS / run.id, run.id, task) is None]
        watch.planned(len(runs), len(runs) - len(waiting))
        failed, started = [], time.monotonic()
        for run, error in _carry_out(waiting, data, out, machine, jobs, watch):
            failed.append(
                FailedRun(id=run.id, attention=run.attention.label, seed=run.seed, error=str(error))
            )
            watch.failed(_title(run), str(error))
        if failed:
            write_record(out / STUDY, record.model_copy(update={"failed": tuple(failed)}))
            if len(failed) == len(runs):
                raise WorkError(f"no run could be finished. The first error: {failed[0].error}")
        if time.monotonic() - started > MEASURED_AGAIN_AFTER:
            measure_cost(study, data, out, machine, watch)  # if the machine was busy before


def begin_study(
    study: StudySpec, data: Data, out: Path, machine: Machine, command: str, watch: Watch
) -> tuple[list[RunSpec], StudyRecord]:
    """Write what the study is and what its networks cost into `out`; return its runs and its record.

    Whoever calls this is the folder's `sole_user`.
    """
    study = with_controls(study, data, out, machine)
    runs = study.runs(data.fingerprint)
    record = _describe(study, data, machine, runs, command)
    write_record(out / STUDY, record)
    measure_cost(study, data, out, machine, watch)
    return runs, record


def open_study(study: StudySpec, out: Path, machine: Machine, watch: Watch) -> Data:
    """Read the images of a study that can be carried out; whatever stands against it is said before.

    What was begun in `out` by foveate 0.1.0 goes on under the fingerprint that it has there (see `as_begun`).

    Raises:
        RequestError: a network, an option, the recipe or the images do not fit each other or the machine.
    """
    check_networks(study)
    if study.recipe.precision == "16-mixed" and machine.torch_device.type != "cuda":
        raise RequestError(
            f"precision 16-mixed needs a CUDA device: on {machine.torch_device} give bf16-mixed"
        )
    watch.reading(study.data.source)
    data = open_data(study.data, study.backbone_of(study.attention[0]))
    data = as_begun(data, [out / STUDY], sorted(out.glob("*/*/spec.json")))
    _check_recipe(study, data)
    check_forward(study, len(data.classes), (data.channels, data.image_size, data.image_size))
    watch.opened(describe_data(study, data))
    return data


def open_data(choice: DataChoice, backbone: str) -> Data:
    """The images of a study; the (first) backbone's own input size serves sets of many sizes."""
    options = choice.model_dump(exclude={"source", "train_fraction"})
    return load_data(choice.source, default_size=own_image_size(backbone), **options)


def _check_recipe(study: StudySpec, data: Data) -> None:
    """Refuse a recipe that these images cannot serve."""
    make_augmentation(study.recipe, data)
    images = len(_split(study, data)[0])
    if study.recipe.batch_size > images:
        raise RequestError(
            f"batch_size {study.recipe.batch_size} is larger than the training part of {images} images: "
            f"give --batch-size {images} or less"
        )


def _split(study: StudySpec, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """The first seed's images for training and validation; every seed has as many."""
    return data.split(study.seeds[0], study.recipe.validation_fraction, study.data.train_fraction)


def describe_data(study: StudySpec, data: Data) -> StudyData:
    """Return what a study's record says of its images."""
    training, validation = _split(study, data)
    return StudyData(
        source=study.data.source,
        name=data.name,
        classes=data.classes,
        channels=data.channels,
        image_size=data.image_size,
        train=len(training),
        validation=len(validation),
        test=len(data.test),
        train_fraction=study.data.train_fraction,
        notes=data.notes,
        **describe_fingerprint(data),
    )


def _describe(
    study: StudySpec, data: Data, machine: Machine, runs: list[RunSpec], command: str
) -> StudyRecord:
    record = StudyRecord(
        format=FORMAT,
        foveate=__version__,
        name=study.name,
        data=describe_data(study, data),
        backbone=study.backbone or f"{len(study.attention)} networks",
        design=study.design,
        pretrained=study.pretrained,
        attention=tuple(candidate.label for candidate in study.attention),
        seeds=study.seeds,
        recipe=study.recipe.model_dump(mode="json"),
        statistics=Statistics(adjust=study.adjust, alpha=ALPHA, power=POWER),
        command=command,
        environment=describe_environment(machine.torch_device, machine.threads),
        runs=tuple(PlannedRun(id=run.id, attention=run.attention.label, seed=run.seed) for run in runs),
        failed=(),
    )
    task = find_task(study.task).record
    return record if task == CLASSIFICATION else record.model_copy(update={"task": task})


def _carry_out(
    runs: list[RunSpec], data: Data, out: Path, machine: Machine, jobs: int, watch: Watch
) -> Iterator[tuple[RunSpec, WorkError]]:
    """Carry out `runs`, `jobs` at a time, and yield those that failed with their error."""
    outcomes: Generator[tuple[RunSpec, Outcome[RunRecord]]]
    if jobs == 1 or len(runs) < 2:
        outcomes = ((run, partial(_one, run, watch, data, out, machine)) for run in runs)
    else:
        given = runs[0], data.content_fingerprint, out, machine
        outcomes = run_in_processes(runs, min(jobs, len(runs)), watch, _make_runner, *given)
    with contextlib.closing(outcomes):
        for run, outcome in outcomes:
            try:
                result = outcome()
            except ImagesChangedError as error:
                raise changed_images(error, data) from error
            except (DiskError, WorkersLostError):
                raise
            except WorkError as error:
                yield run, error
            else:
                metric = find_task(run.task).record.primary
                waited = waiting_share(result.epochs)
                watch.finished(_title(run), metric, result.test.value(metric), result.seconds, waited)


def _one(run: RunSpec, watch: Watch, data: Data, out: Path, machine: Machine) -> RunRecord:
    def on_step(epoch: int, step: int, steps: int, value: float | None) -> None:
        watch.step(_title(run), epoch, run.recipe.epochs, step, steps, value)

    return execute(run, data, out / RUNS / run.id, machine, on_step)


def _make_runner(
    place: int, run: RunSpec, content: str, out: Path, machine: Machine
) -> Callable[[RunSpec, Watch], RunRecord]:
    """In a worker process: open the images once."""
    data = open_again(run.data, run.backbone, run.fingerprint, content)
    return partial(_one, data=data, out=out, machine=own_gpu(machine, place))


def open_again(choice: DataChoice, backbone: str, fingerprint: str, content: str) -> Data:
    """Open in a worker process the images that its parent has open under these fingerprints.

    Raises:
        ImagesChangedError: they are others by now, or cannot be opened any more.
    """
    try:
        data = open_data(choice, backbone)
    except RequestError as error:
        raise ImagesChangedError(f"the images cannot be opened any more: {error}") from error
    return as_seen_by_parent(data, fingerprint, content)


def own_gpu(machine: Machine, place: int) -> Machine:
    """The machine as the worker at `place` sees it: of several GPUs it takes one."""
    if machine.torch_device.type == "cuda" and ":" not in machine.device:
        return replace(machine, device=f"cuda:{place % torch.cuda.device_count()}")
    return machine


def _title(run: RunSpec) -> str:
    return f"{run.attention.label}, seed {run.seed}"
