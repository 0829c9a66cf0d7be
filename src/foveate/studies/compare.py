"""`foveate compare`: mechanisms × seeds, resumable, from a spec to a report."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from timm.models import get_pretrained_cfg

from foveate.data import Data, load_data
from foveate.errors import DiskError, RequestError, WorkError
from foveate.files import write_json
from foveate.studies.cost import measure_cost
from foveate.studies.environment import describe_environment
from foveate.studies.network import check_forward, check_networks
from foveate.studies.pool import Outcome, run_in_processes
from foveate.studies.record import FORMAT, RUNS, STUDY, find_result, refuse_unusable_folder
from foveate.studies.run import Machine, execute, make_augmentation
from foveate.studies.spec import DataChoice, RunSpec, StudySpec
from foveate.studies.watch import Watch
from foveate.version import __version__

__all__ = ["compare"]


def compare(
    study: StudySpec,
    out: Path,
    machine: Machine,
    *,
    jobs: int = 1,
    command: str = "",
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Run what is not finished of `study` in the folder `out` and build its report.

    Returns the summary that `foveate compare --json` writes; its `missing` names the runs that failed.

    Raises:
        RequestError: the study cannot be started; nothing was changed.
        WorkError: no run could be finished, or the disk is full; what was finished is kept.
    """
    watch = watch or Watch()
    check_networks(study)
    refuse_unusable_folder(out)
    if study.recipe.precision == "16-mixed" and machine.torch_device.type != "cuda":
        raise RequestError(
            f"precision 16-mixed needs a CUDA device: on {machine.torch_device} give bf16-mixed"
        )
    watch.reading(study.data.source)
    data = open_data(study.data, study.backbone)
    _check_recipe(study, data)
    check_forward(study, len(data.classes), (data.channels, data.image_size, data.image_size))
    with _sole_user(out):
        runs = study.runs(data.fingerprint)
        record = _describe(study, data, machine, runs, command)
        write_json(out / STUDY, record)
        watch.opened(record["data"])
        torch.set_num_threads(machine.threads * jobs)
        measure_cost(study, data, out, machine, watch)
        waiting = [run for run in runs if find_result(out / RUNS / run.id) is None]
        watch.planned(len(runs), len(runs) - len(waiting))
        failed = []
        for run, error in _carry_out(waiting, data, out, machine, jobs, watch):
            failed.append(
                {"id": run.id, "attention": run.attention.label, "seed": run.seed, "error": str(error)}
            )
            watch.failed(_title(run), str(error))
        if failed:
            write_json(out / STUDY, record | {"failed": failed})
            if len(failed) == len(runs):
                raise WorkError(f"no run could be finished. The first error: {failed[0]['error']}")
        # Here, when the runs' processes have ended, and not in them: drawing takes a lot of memory.
        from foveate.report.build import build_report

        return build_report(out)


def open_data(choice: DataChoice, backbone: str) -> Data:
    """The images of a study; the backbone's own input size serves sets of many sizes."""
    cfg = get_pretrained_cfg(backbone)
    options = choice.model_dump(exclude={"source", "train_fraction"})
    return load_data(choice.source, default_size=cfg.input_size[-1] if cfg else 224, **options)


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


@contextlib.contextmanager
def _sole_user(out: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when this process ends, however it ends."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise RequestError(
            f"another foveate is at work in {out}: wait for it, or give another --out"
        ) from error


def _describe(
    study: StudySpec, data: Data, machine: Machine, runs: list[RunSpec], command: str
) -> dict[str, Any]:
    training, validation = _split(study, data)
    return {
        "format": FORMAT,
        "foveate": __version__,
        "name": study.name,
        "data": {
            "source": study.data.source,
            "name": data.name,
            "classes": list(data.classes),
            "channels": data.channels,
            "image_size": data.image_size,
            "train": len(training),
            "validation": len(validation),
            "test": len(data.test),
            "train_fraction": study.data.train_fraction,
            "notes": list(data.notes),
            "fingerprint": data.fingerprint,
        },
        "backbone": study.backbone,
        "pretrained": study.pretrained,
        "attention": [candidate.label for candidate in study.attention],
        "seeds": list(study.seeds),
        "recipe": study.recipe.model_dump(mode="json"),
        "statistics": {"adjust": study.adjust, "alpha": 0.05, "power": 0.8},
        "command": command,
        "environment": describe_environment(machine.torch_device, machine.threads),
        "runs": [{"id": run.id, "attention": run.attention.label, "seed": run.seed} for run in runs],
        "failed": [],
    }


def _carry_out(
    runs: list[RunSpec], data: Data, out: Path, machine: Machine, jobs: int, watch: Watch
) -> Iterator[tuple[RunSpec, WorkError]]:
    """Carry out `runs`, `jobs` at a time, and yield those that failed with their error."""
    outcomes: Generator[tuple[RunSpec, Outcome]]
    if jobs == 1 or len(runs) < 2:
        outcomes = ((run, partial(_one, run, watch, data, out, machine)) for run in runs)
    else:
        outcomes = run_in_processes(runs, min(jobs, len(runs)), watch, _make_runner, runs[0], out, machine)
    with contextlib.closing(outcomes):
        for run, outcome in outcomes:
            try:
                result = outcome()
            except DiskError:
                raise
            except WorkError as error:
                yield run, error
            except BrokenProcessPool as error:
                raise WorkError(
                    "a worker process ended without a word (out of memory?). Finished runs are kept: "
                    "give the same command again, with fewer --jobs"
                ) from error
            else:
                watch.finished(_title(run), result["test"]["accuracy"], result["seconds"])


def _one(run: RunSpec, watch: Watch, data: Data, out: Path, machine: Machine) -> dict[str, Any]:
    def on_step(epoch: int, step: int, steps: int, accuracy: float | None) -> None:
        watch.step(_title(run), epoch, run.recipe.epochs, step, steps, accuracy)

    return execute(run, data, out / RUNS / run.id, machine, on_step)


def _make_runner(
    place: int, run: RunSpec, out: Path, machine: Machine
) -> Callable[[RunSpec, Watch], dict[str, Any]]:
    """In a worker process: open the images once, take a GPU of one's own where there are several."""
    if machine.torch_device.type == "cuda" and ":" not in machine.device:
        machine = replace(machine, device=f"cuda:{place % torch.cuda.device_count()}")
    return partial(_one, data=open_data(run.data, run.backbone), out=out, machine=machine)


def _title(run: RunSpec) -> str:
    return f"{run.attention.label}, seed {run.seed}"
