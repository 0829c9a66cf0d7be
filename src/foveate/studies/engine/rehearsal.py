"""The times of a run, from a few steps of the same run: it is trained, tested and recorded for real."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from foveate.data import Data
from foveate.models.checkpoint.save_load import WEIGHTS
from foveate.records.file_names import RUNS
from foveate.records.run import Epoch
from foveate.studies.engine.carrying import carry_out_here_or
from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.fitting import Machine, parts_of
from foveate.studies.engine.images import open_for
from foveate.studies.engine.run import execute
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec, StudySpec

__all__ = ["Rehearsal", "RunTimes", "rehearse", "shortened"]

EPOCHS = 3
"""Epochs of a rehearsal; the first is slower, and is not timed."""
SECONDS = 1.0
"""What the steps of an epoch of a rehearsal take, about, if the training part has as many."""


@dataclass(frozen=True)
class RunTimes:
    """What a run consists of, in seconds.

    Attributes:
        step: a training step with the wait for its batch.
        image: the evaluation of an image.
        epoch: an epoch without its steps and its evaluation: its checkpoint.
        rest: the run without its epochs and its test: the network is built, the first steps are slower, the
            records are written.
        cpu_share: the share of the time of its epochs for which this thread worked, 1 on a quiet machine;
            None where it may wait for images or for a GPU.
    """

    step: float
    image: float
    epoch: float
    rest: float
    cpu_share: float | None

    def of_epoch(self, steps: int, validation: int) -> float:
        """Return the seconds of an epoch of `steps` steps, validated on `validation` images."""
        return steps * self.step + validation * self.image + self.epoch

    def of_run(self, epochs: int, steps: int, validation: int, test: int) -> float:
        """Return the seconds of a run with that many epochs, steps in each, and images of both parts."""
        return epochs * self.of_epoch(steps, validation) + test * self.image + self.rest


@dataclass(frozen=True)
class Rehearsal:
    """The times of the runs of each candidate, by its label, and of what happens once.

    Attributes:
        times: means over the candidate's runs.
        once: seconds until a process can train: worker processes start and open the images, and what a
            process does at its first run only.
        slowdown: the factor by which other programs slowed the training down, at least; 1 if that is unknown.
    """

    times: dict[str, RunTimes]
    once: float
    slowdown: float


@dataclass(frozen=True)
class _Rehearsed:
    """The times of a run, when it began (`time.time`), and those of the process's first run."""

    times: RunTimes
    began: float
    first: RunTimes
    first_seconds: float


def shortened(study: StudySpec, jobs: int) -> StudySpec:
    """Return the study to rehearse in place of `study`: few epochs, and the seeds that `jobs` need.

    Its controls are among its candidates already, and are not matched again; nothing is tuned.
    """
    seeds = study.seeds[: -(-jobs // len(study.attention))]
    recipe = study.recipe.model_copy(update={"epochs": EPOCHS, "patience": None})
    changes = {"seeds": seeds, "recipe": recipe, "control": None, "tune": None, "tuning": None}
    return study.model_copy(update=changes)


def rehearse(
    runs: list[RunSpec], data: Data, folder: Path, machine: Machine, jobs: int, watch: Watch
) -> Rehearsal:
    """Carry out a few steps of each of `runs`, those of a `shortened` study, as that study would.

    The records in `folder` are those of real runs of few images; their weights are deleted.

    Raises:
        WorkError: a run failed, or a worker process was lost.
    """
    jobs, started, found = min(jobs, len(runs)), time.time(), dict[str, _Rehearsed]()
    watch.rehearsing(0, len(runs))
    here: list[Callable[[RunSpec, Watch], _Rehearsed]] = []

    def rehearse_here(run: RunSpec, watch: Watch) -> _Rehearsed:
        if not here:
            here.append(_make_rehearser(runs[0], data, folder, machine))
        return here[0](run, watch)

    given = runs[0], data.content_fingerprint, folder, machine
    with closing(
        carry_out_here_or(
            LocalProcesses(jobs), runs, watch, data, rehearse_here, _make_rehearser_again, *given
        )
    ) as outcomes:
        for run, outcome in outcomes:
            found[run.id] = outcome()
            watch.rehearsing(len(found), len(runs))
    earliest = min(found.values(), key=lambda one: one.began)
    usual = median(one.times.rest for one in found.values())
    once = earliest.began - started - earliest.first_seconds + max(earliest.first.rest - usual, 0.0)
    own: dict[str, list[RunTimes]] = {}
    for run in runs:
        own.setdefault(run.attention.label, []).append(found[run.id].times)
    shares = [one.times.cpu_share for one in found.values() if one.times.cpu_share]
    return Rehearsal(
        times={label: _mean(times) for label, times in own.items()},
        once=max(once, 0.0),
        slowdown=1 / fmean(shares) if shares else 1.0,
    )


def _mean(times: list[RunTimes]) -> RunTimes:
    shares = [one.cpu_share for one in times if one.cpu_share is not None]
    return RunTimes(
        step=fmean(one.step for one in times),
        image=fmean(one.image for one in times),
        epoch=fmean(one.epoch for one in times),
        rest=fmean(one.rest for one in times),
        cpu_share=fmean(shares) if shares else None,
    )


def _make_rehearser_again(
    worker: int, run: RunSpec, content: str, folder: Path, machine: Machine
) -> Callable[[RunSpec, Watch], _Rehearsed]:
    """Open the images once in a worker process, and return what `_make_rehearser` returns."""
    data = open_for(run, content)
    return _make_rehearser(run, data, folder / f"worker{worker}", machine.of_worker(worker), folder)


def _make_rehearser(
    run: RunSpec, data: Data, folder: Path, machine: Machine, study: Path | None = None
) -> Callable[[RunSpec, Watch], _Rehearsed]:
    """Rehearse `run` with one step an epoch, and return the function that rehearses runs in this process.

    How many steps those take follows from the first. `study` is their folder, by default `folder`.
    """
    began = time.perf_counter()
    first = _rehearse(run, data, folder / "first", machine, 1)
    seconds = time.perf_counter() - began
    steps = max(round(SECONDS / first.step), 1)

    def carry_out(spec: RunSpec, watch: Watch) -> _Rehearsed:
        began = time.time()
        times = _rehearse(spec, data, (study or folder) / RUNS / spec.id, machine, steps)
        return _Rehearsed(times, began, first, seconds)

    return carry_out


def _rehearse(run: RunSpec, data: Data, folder: Path, machine: Machine, steps: int) -> RunTimes:
    """Carry out `run` with at most `steps` steps an epoch, and as many images in its other parts."""
    images = steps * run.recipe.batch_size
    parts = parts_of(run, data)
    parts = parts._replace(
        training=parts.training[:images],
        validation=data.some_of(data.validation_store, parts.validation, images),
        test=data.some_of(data.test, parts.test, images),
    )
    ends, work = list[float](), list[float]()

    def on_epoch(epoch: int, value: float) -> None:
        ends.append(time.perf_counter())
        work.append(time.thread_time())

    began = time.perf_counter()
    record = execute(run, data, folder, machine, on_epoch=on_epoch, parts=parts)
    seconds = time.perf_counter() - began
    (folder / WEIGHTS[0]).unlink()
    batches = parts.training.size // run.recipe.batch_size
    step = (
        fmean(_training_seconds(epoch, batches * run.recipe.batch_size) for epoch in record.epochs[1:])
        / batches
    )
    period = (ends[-1] - ends[0]) / (EPOCHS - 1)  # from before one checkpoint to before the next
    both = fmean(epoch.seconds or 0.0 for epoch in record.epochs[1:])
    image = max(both - batches * step, 0.0) / parts.validation.size
    return RunTimes(
        step=step,
        image=image,
        epoch=max(period - both, 0.0),
        rest=max(seconds - EPOCHS * period - parts.test.size * image, 0.0),
        cpu_share=_share(work[-1] - work[0], ends[-1] - ends[0], data, machine),
    )


def _training_seconds(epoch: Epoch, images: int) -> float:
    assert epoch.images_per_second is not None
    return images / epoch.images_per_second


def _share(worked: float, seconds: float, data: Data, machine: Machine) -> float | None:
    """Return the share of `seconds` for which this thread worked, where it need not wait for anything."""
    waits = machine.torch_device.type != "cpu" or not data.train.in_memory
    return None if waits else min(worked / seconds, 1.0)
