"""`foveate plan`: estimate what a study takes before it starts, from steps measured on this machine."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from foveate.data import Data, make_loader
from foveate.errors import RequestError, WorkError
from foveate.evaluation.comparisons import compare_candidates
from foveate.evaluation.cost import count_parameters
from foveate.evaluation.significance import ALPHA, POWER
from foveate.evaluation.statistics import detectable_difference, pooled_std
from foveate.records.files import RESULT, RUNS
from foveate.records.plan import Detectable, Disk, Plan, PlannedCandidate
from foveate.records.study import read_study
from foveate.studies.engine.controls import with_controls
from foveate.studies.engine.family import with_family
from foveate.studies.engine.images import describe_data, open_study
from foveate.studies.engine.joining import join, refuse_other_study
from foveate.studies.engine.network import build_candidate, find_own_attention
from foveate.studies.engine.remaining import seconds_together
from foveate.studies.engine.run import AUTOCAST, Machine, make_augmentation
from foveate.studies.engine.start import with_weights
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import StudySpec
from foveate.tasks import find_task
from foveate.training.schedule import make_optimizer

__all__ = ["plan"]

WARM_UP, FEWEST, SECONDS = 2, 3, 1.0
"""Steps before any is timed, the fewest that are timed, and the seconds for which they are timed."""
SPREADS = (0.001, 0.003, 0.01)
"""Standard deviations of paired differences that are assumed where no runs have finished."""
STATES_WHILE_TRAINING = 4
"""In a checkpoint: the weights, at most two moments of an optimiser, the best weights so far."""


def plan(
    study: StudySpec,
    out: Path,
    machine: Machine,
    *,
    jobs: int = 1,
    spread: float | None = None,
    watch: Watch | None = None,
    data: Data | None = None,
) -> Plan:
    """Measure a step of each candidate, and estimate runs, time, disk and the detectable differences.

    Args:
        spread: standard deviation of the paired differences between seeds, in the unit of the metric; None
            takes it from the finished runs in `out`, or else assumes three values.
        data: the study's images, if they are already open.

    Raises:
        RequestError: the study cannot be started, or `out` holds another one.
    """
    watch = watch or Watch()
    study = with_weights(study, watch)
    data = data or open_study(study, out, machine, watch)
    there = refuse_other_study(study, out, data)
    study = with_family(with_controls(study, data, out, machine), out)
    for own in find_own_attention(study):
        watch.note(own.sentence)
    whole = join(study, there, data.fingerprint).study
    torch.set_num_threads(machine.threads)
    runs = study.runs(data.fingerprint)
    finished = {run.id for run in runs if (out / RUNS / run.id / RESULT).is_file()}
    rows = []
    for number, candidate in enumerate(study.attention):
        watch.measuring(number, len(study.attention))
        left = [run for run in runs if run.attention.label == candidate.label and run.id not in finished]
        rows.append(_measure(study, candidate, data, machine, len(left)))
    watch.measuring(len(study.attention), len(study.attention))
    return Plan(
        study=study.name,
        data=describe_data(study, data),
        recipe=study.recipe.model_dump(mode="json"),
        candidates=tuple(rows),
        tested=study.design.tested,
        runs=len(runs),
        finished=len(finished),
        jobs=jobs,
        seconds=seconds_together([row.run_seconds for row in rows for _ in range(row.left)], jobs),
        disk=_disk(rows, out, jobs),
        detectable=tuple(_detectable(whole, out if finished else None, spread)),
    )


def _measure(
    study: StudySpec, candidate: Candidate, data: Data, machine: Machine, left: int
) -> PlannedCandidate:
    """Time a training step and the evaluation of a batch, and estimate a whole run from them."""
    recipe, device, task = study.recipe, machine.torch_device, find_task(study.task)
    network = build_candidate(study, candidate, data)
    prepare = make_augmentation(recipe, data).to(device)
    network = network.to(device)
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)
    training, validation = data.split(study.seeds[0], recipe.validation_fraction, study.data.train_fraction)
    loader = make_loader(
        data.train, training, recipe.batch_size, shuffle_seed=0, drop_last=True, workers=machine.workers
    )
    generator = torch.Generator(device).manual_seed(0)
    optimizer = make_optimizer(network, recipe)
    autocast = torch.autocast(
        device.type, AUTOCAST[recipe.precision], enabled=AUTOCAST[recipe.precision] is not None
    )

    def train(images: Tensor, labels: Tensor) -> None:
        with autocast:
            loss = task.loss(network(prepare(images, generator)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def judge(images: Tensor, labels: Tensor) -> None:
        with autocast:
            network(prepare.unaugmented(images))

    step = _time(train, loader, device)
    network.eval()
    judged = _time(judge, loader, device)
    steps = len(training) // recipe.batch_size
    images = recipe.epochs * len(validation) + len(data.test)
    return PlannedCandidate(
        attention=candidate.label,
        parameters=count_parameters(network),
        state_bytes=sum(value.nbytes for value in network.state_dict().values()),
        step_ms=1000 * step,
        steps=recipe.epochs * steps,
        run_seconds=recipe.epochs * steps * step + images / recipe.batch_size * judged,
        runs=len(study.seeds),
        left=left,
    )


def _time(work: Callable[[Tensor, Tensor], None], loader: Iterable[Any], device: torch.device) -> float:
    """Return the median seconds from one batch to the next, including the reading of the batch."""
    times: list[float] = []
    start = before = time.perf_counter()
    for number, (images, labels) in enumerate(itertools.chain.from_iterable(itertools.repeat(loader))):
        work(images.to(device), labels.to(device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        if number == WARM_UP - 1:
            start = now
        elif number >= WARM_UP:
            times.append(now - before)
            if len(times) >= FEWEST and now - start > SECONDS:
                break
        before = now
    return median(times)


def _disk(rows: list[PlannedCandidate], out: Path, jobs: int) -> Disk:
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    return Disk(
        weights=sum(row.runs * row.state_bytes for row in rows),
        while_training=jobs * STATES_WHILE_TRAINING * max(row.state_bytes for row in rows),
        free=shutil.disk_usage(there).free,
    )


def _detectable(study: StudySpec, out: Path | None, spread: float | None) -> list[Detectable]:
    """Compute what the study's seeds can detect, for the spread that is given, measured or assumed."""
    labels = [candidate.label for candidate in study.attention]
    comparisons = len(study.design.pairs(labels))
    alpha = ALPHA / max(comparisons, 1)
    measured = None if spread is not None or out is None else _measured_spread(out)
    spreads = [one for one in (spread, measured) if one is not None] or list(SPREADS)
    return [
        Detectable(
            spread=one,
            measured=measured is not None,
            comparisons=comparisons,
            difference=detectable_difference(one, len(study.seeds), alpha, POWER),
        )
        for one in spreads
    ]


def _measured_spread(out: Path) -> float | None:
    """Return the pooled standard deviation of the differences between the finished runs in `out`."""
    try:
        comparisons = compare_candidates(read_study(out))
    except (RequestError, WorkError):
        return None  # no study yet, or no finished run
    known = [(one.test.std, one.test.n) for one in comparisons if one.test.std]
    return pooled_std(known) if known else None
