"""`foveate plan`: estimate what a study takes before it starts, from a few steps of each of its networks."""

import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from foveate.data import Data
from foveate.evaluation.cost import count_parameters
from foveate.evaluation.noise import BUSY, noise_of_cost
from foveate.evaluation.power import detectable_difference
from foveate.evaluation.significance import ALPHA, POWER
from foveate.records.cost import CostRecord
from foveate.records.file_names import COST, RESULT, RUNS
from foveate.records.files import read_record
from foveate.records.metric import CLASSIFICATION
from foveate.records.plan import Detectable, Disk, ExpectedSeeds, OtherSeconds, Plan, PlannedCandidate
from foveate.studies.compare import begin_study
from foveate.studies.engine.controls import with_controls
from foveate.studies.engine.cost import is_measured
from foveate.studies.engine.expected import MeasuredSpread, expected_seeds, measured_spread
from foveate.studies.engine.family import with_family
from foveate.studies.engine.fitting import Machine, parts_of
from foveate.studies.engine.images import describe_data, open_study
from foveate.studies.engine.joining import join, refuse_other_study
from foveate.studies.engine.network import build_candidate
from foveate.studies.engine.rehearsal import RunTimes, rehearse, shortened
from foveate.studies.engine.remaining import seconds_together
from foveate.studies.engine.start import with_weights
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.studies.tuning import begin_tuning, trials_left
from foveate.studies.tuning_trials import TrialSpec
from foveate.tasks import find_task

__all__ = ["detectable", "plan"]

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
    scheduler: str | None = None,
    spread: float | None = None,
    watch: Watch | None = None,
    data: Data | None = None,
    began: float | None = None,
    build_report: Callable[[Path], object] | None = None,
) -> Plan:
    """Train a few steps of each candidate, and estimate runs, time, disk and the detectable differences.

    Args:
        jobs: runs at a time.
        scheduler: what carries them out elsewhere, ray or slurm; None is this machine. Steps are measured on
            this machine, one run at a time, as a node of a cluster gives each run its own cores.
        spread: standard deviation of the paired differences between seeds, in the unit of the metric; None
            takes it from the finished runs of this study in `out`, or else assumes three values.
        data: the study's images, if they are already open.
        began: when the command began (`time.monotonic`), by default now.
        build_report: builds the report of the study in a folder.

    Raises:
        RequestError: the study cannot be started, or `out` holds another one.
        WorkError: the training of a candidate fails.
    """
    began = time.monotonic() if began is None else began
    watch = watch or Watch()
    study = with_weights(study, watch)
    data = data or open_study(study, out, machine, watch)
    there = refuse_other_study(study, out, data)
    if study.tune is not None:
        study = begin_tuning(study, out, data)
    study = with_family(with_controls(study, data, out, machine), out)
    if study.tune is not None:
        study = begin_tuning(study, out, data)  # with the controls
    whole = join(study, there, data.fingerprint).study
    here = jobs if scheduler is None else 1
    torch.set_num_threads(machine.threads * here)
    runs = study.runs(data.fingerprint)
    finished = {run.id for run in runs if (out / RUNS / run.id / RESULT).is_file()}
    stages = trials_left(study, data, out)
    start = time.monotonic() - began
    measured = _measure(study, data, machine, here, watch, build_report)
    rows = [
        _candidate(study, candidate, data, measured.times[candidate.label], runs, finished)
        for candidate in study.attention
    ]
    if study.tune is not None:
        rows = [_with_trials(row, stages, measured.times[row.attention], runs, data) for row in rows]
    seconds = {row.attention: row.run_seconds for row in rows}
    left = [seconds[run.attention.label] for run in runs if run.id not in finished]  # in their order
    training = seconds_together(left, jobs)
    of_trial = {row.attention: row.trial_seconds or 0.0 for row in rows}
    tuning = sum(seconds_together([of_trial[one.label] for one in stage], jobs) for stage in stages)
    other = OtherSeconds(
        start=start,
        cost=0.0 if is_measured(study, data, out, machine) else measured.cost,
        processes=measured.processes * sum(map(bool, [*stages, left])),
        report=measured.report,
    )
    measured_before = measured_spread(out) if finished and spread is None else None
    spreads = detectable(whole, measured_before, spread)
    expected: tuple[ExpectedSeeds, ...] = ()
    if study.until_decided:
        expected = expected_seeds(study, whole, there, out, measured_before, spreads, seconds, jobs)
    planned = Plan(
        study=study.name,
        data=describe_data(study, data),
        recipe=study.recipe.model_dump(mode="json"),
        candidates=tuple(rows),
        tested=study.design.tested,
        runs=len(runs),
        finished=len(finished),
        jobs=jobs,
        seconds=training,
        other_seconds=other,
        total_seconds=tuning + training + other.total,
        busy=measured.busy,
        disk=_disk(rows, out, jobs),
        detectable=tuple(spreads),
    )
    if scheduler is not None:
        planned = planned.model_copy(update={"scheduler": scheduler})
    if (task := find_task(study.task).record) != CLASSIFICATION:
        planned = planned.model_copy(update={"task": task})
    if expected:
        planned = planned.model_copy(update={"until_decided": expected})
    if study.tune is None:
        return planned
    trials = study.tune.trials * len(study.attention)
    return planned.model_copy(update={"trials": trials, "tuning_seconds": tuning})


@dataclass(frozen=True)
class _Measured:
    """The times of the runs of each candidate, and of what a study does beside them, in seconds."""

    times: dict[str, RunTimes]
    processes: float
    cost: float
    report: float
    busy: bool


def _measure(
    study: StudySpec,
    data: Data,
    machine: Machine,
    jobs: int,
    watch: Watch,
    build_report: Callable[[Path], object] | None,
) -> _Measured:
    """Carry out a short version of `study` in a temporary folder, from its cost to its report."""
    no_added_seeds = {"until_decided": False, "max_seeds": None, "max_hours": None, "spending": None}
    short = shortened(study, jobs).model_copy(update=no_added_seeds)
    with tempfile.TemporaryDirectory(prefix="foveate-plan-") as name:
        folder, stops = Path(name), [time.monotonic()]
        begun = begin_study(short, data, folder, machine, "", watch)
        stops.append(time.monotonic())
        rehearsal = rehearse(begun.runs, data, folder, machine, jobs, watch)
        stops.append(time.monotonic())
        if build_report is not None:
            build_report(folder)
        stops.append(time.monotonic())
        cost = read_record(folder / COST, CostRecord)
    return _Measured(
        times=rehearsal.times,
        processes=rehearsal.once,
        cost=stops[1] - stops[0],
        report=stops[3] - stops[2],
        busy=bool(noise_of_cost(cost)) or rehearsal.slowdown > BUSY,
    )


def _candidate(
    study: StudySpec,
    candidate: Candidate,
    data: Data,
    times: RunTimes,
    runs: Sequence[RunSpec],
    finished: Collection[str],
) -> PlannedCandidate:
    """Estimate the runs of a candidate from the times of its rehearsal."""
    network, recipe = build_candidate(study, candidate, data), study.recipe
    own = [run for run in runs if run.attention.label == candidate.label]
    parts = parts_of(own[0], data)
    steps = len(parts.training) // recipe.batch_size
    return PlannedCandidate(
        attention=candidate.label,
        parameters=count_parameters(network),
        state_bytes=sum(value.nbytes for value in network.state_dict().values()),
        step_ms=1000 * times.step,
        steps=recipe.epochs * steps,
        run_seconds=times.of_run(recipe.epochs, steps, len(parts.validation), len(parts.test)),
        runs=len(own),
        left=sum(run.id not in finished for run in own),
    )


def _with_trials(
    row: PlannedCandidate,
    stages: Sequence[Sequence[TrialSpec]],
    times: RunTimes,
    runs: Sequence[RunSpec],
    data: Data,
) -> PlannedCandidate:
    """Return the row of a candidate with the trials that it still gets; a trial is a run without its test."""
    recipe, parts = runs[0].recipe, parts_of(runs[0], data)
    steps = len(parts.training) // recipe.batch_size
    left = sum(trial.label == row.attention for stage in stages for trial in stage)
    seconds = times.of_run(recipe.epochs, steps, len(parts.validation), 0)
    return row.model_copy(update={"trials_left": left, "trial_seconds": seconds})


def _disk(rows: list[PlannedCandidate], out: Path, jobs: int) -> Disk:
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    return Disk(
        weights=sum(row.runs * row.state_bytes for row in rows),
        while_training=jobs * STATES_WHILE_TRAINING * max(row.state_bytes for row in rows),
        free=shutil.disk_usage(there).free,
    )


def detectable(study: StudySpec, measured: MeasuredSpread | None, spread: float | None) -> list[Detectable]:
    """Compute what the seeds of `study` can detect, for the spread that is given, `measured` or assumed."""
    labels = [candidate.label for candidate in study.attention]
    comparisons = len(study.design.pairs(labels))
    alpha = ALPHA / max(comparisons, 1)
    known = spread if spread is not None else measured.std if measured else None
    spreads = SPREADS if known is None else (known,)
    return [
        Detectable(
            spread=one,
            measured=spread is None and measured is not None,
            comparisons=comparisons,
            difference=detectable_difference(one, len(study.seeds), alpha, POWER),
        )
        for one in spreads
    ]
