"""`foveate compare`: run a study, every mechanism with every seed, and resume one that was interrupted."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from foveate.data import Data
from foveate.errors import RequestError, WorkError
from foveate.records.base import FORMAT
from foveate.records.file_names import COST, RUNS, STUDY
from foveate.records.files import write_record
from foveate.records.labels import BASELINE, name_with_seed
from foveate.records.metric import CLASSIFICATION
from foveate.records.run import RunRecord, waiting_share
from foveate.records.sequential import LooksByHand, SequentialPlan
from foveate.records.study import FailedRun, PlannedRun, Statistics, StudyRecord
from foveate.storage.lease import Lease
from foveate.storage.opening import publish, synchronise
from foveate.studies.engine.carrying import carry_out
from foveate.studies.engine.controls import with_controls
from foveate.studies.engine.cost import measure_cost
from foveate.studies.engine.custom_sources import custom_sources
from foveate.studies.engine.ddp.used_devices import describe_machine
from foveate.studies.engine.executors.base import Executor
from foveate.studies.engine.executors.processes import HERE
from foveate.studies.engine.family import statistics_of, with_family
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.folder import (
    find_result,
    has_report_of,
    keep_report,
    refuse_unusable_folder,
)
from foveate.studies.engine.holding import sole_user
from foveate.studies.engine.images import describe_data, needed_paths, open_study
from foveate.studies.engine.joining import Joined, join, refuse_other_study
from foveate.studies.engine.looks import looks_by_hand, plan_looks
from foveate.studies.engine.network import find_own_attention
from foveate.studies.engine.run import execute
from foveate.studies.engine.start import describe_start, with_weights
from foveate.studies.engine.test_part import keep_test_part
from foveate.studies.engine.watch import WaitingRun, Watch
from foveate.studies.rounds import Hours, add_seeds
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.studies.tuning import tune
from foveate.tasks import find_task
from foveate.version import __version__

__all__ = ["Begun", "begin_study", "compare"]

FAMILIES = {"all": "all pairs", "baseline": "each mechanism with the baseline"}
MEASURED_AGAIN_AFTER = 60.0
"""Seconds of training after which latencies are measured again, which takes about 6 s."""


def compare(
    study: StudySpec,
    out: Path,
    machine: Machine,
    *,
    executor: Executor = HERE,
    command: str = "",
    watch: Watch | None = None,
    data: Data | None = None,
    began: float | None = None,
) -> None:
    """Carry out the runs of `study` that are not finished, in the folder `out`.

    `data` are the study's images, if they are already open. The study's record names the runs that failed.
    `began` is when the command began (`time.monotonic`), by default now; the hours of a study that is to be
    decided are counted from there.

    Raises:
        RequestError: the study cannot be started; nothing was changed.
        WorkError: no run finished, or the disk is full; finished runs are kept.
    """
    watch = watch or Watch()
    if study.control == "latency" and executor.device is not None:
        raise RequestError(
            "--control latency with --on: networks are enlarged by latencies of this machine, and trained on "
            "others. Give --control macs or parameters"
        )
    refuse_unusable_folder(out)
    refuse_other_study(study, out)
    study = with_weights(study, watch)
    data = data or open_study(study, out, machine, watch)
    with sole_user(out, watch.note) as lease:
        executor.check(out, needed_paths(study))
        torch.set_num_threads(machine.threads * (executor.jobs if executor.device is None else 1))
        study = tune(study, data, out, machine, executor, watch)
        begun = begin_study(study, data, out, machine, command, watch, executor)
        publish(out)
        runs, started = begun.runs, time.monotonic()
        budget = Hours(study.max_hours, started if began is None else began)
        training = _Training(data, out, machine, executor, watch, budget, lease)
        record = training.carry_out(runs, begun.record)
        failed = [run for run in record.failed if run.id in {one.id for one in runs}]
        if len(failed) == len(runs):
            raise WorkError(f"no run could be finished. The first error: {failed[0].error}")
        if record.sequential is not None:
            whole = begun.study, record, data.fingerprint, out
            add_seeds(*whole, training.carry_out, watch, budget.has_time)
        if time.monotonic() - started > MEASURED_AGAIN_AFTER:
            measure_cost(begun.study, data, out, machine, watch, executor)  # if the machine was busy before


@dataclass(frozen=True)
class _Training:
    """Has runs of a study carried out in its folder."""

    data: Data
    out: Path
    machine: Machine
    executor: Executor
    watch: Watch
    hours: Hours
    lease: Lease

    def carry_out(self, runs: list[RunSpec], record: StudyRecord) -> StudyRecord:
        """Carry out those of `runs` that are not finished; return the record with those that failed."""
        out, watch, started = self.out, self.watch, time.monotonic()
        task, seeds = find_task(runs[0].task).record, len({run.seed for run in runs})
        waiting = [run for run in runs if find_result(out / RUNS / run.id, run.id, task) is None]
        watch.planned(len(runs), len(runs) - len(waiting))
        watch.waiting([WaitingRun(_title(run), run.attention.label) for run in waiting], self.executor.jobs)
        ids = {run.id for run in waiting}
        failed = [run for run in record.failed if run.id not in ids]
        record = record.model_copy(update={"failed": tuple(failed)})
        write_record(out / STUDY, record)
        publish(out)
        for run, result in carry_out(
            waiting, _one, lambda run: run, self.data, out, self.machine, self.executor, watch
        ):
            self.lease.refuse_lost()
            if not isinstance(result, WorkError):
                waited = waiting_share(result.epochs)
                value = result.test.value(task.primary)
                watch.finished(_title(run), task.primary, value, result.seconds, waited)
                continue
            failed.append(
                FailedRun(id=run.id, attention=run.attention.label, seed=run.seed, error=str(result))
            )
            watch.failed(_title(run), str(result))
            record = record.model_copy(update={"failed": tuple(failed)})
            write_record(out / STUDY, record)
            publish(out)
        synchronise(out)  # with the runs that other machines finished
        if waiting:
            self.hours.took((time.monotonic() - started) / seeds)
        return record


@dataclass(frozen=True)
class Begun:
    """A study that has its record: with the one that it joined, the runs to carry out, and the record."""

    study: StudySpec
    runs: list[RunSpec]
    record: StudyRecord


def begin_study(
    study: StudySpec,
    data: Data,
    out: Path,
    machine: Machine,
    command: str,
    watch: Watch,
    executor: Executor = HERE,
) -> Begun:
    """Write study.json and cost.json into `out`, and return the study, its runs and its record.

    The study joins the one in `out`, if there is one: the record names the runs of both, and only those that
    are asked for are carried out. Where the report will be another, the one of before is kept. The caller
    must be the folder's `sole_user`.

    Raises:
        RequestError: `out` holds another study; nothing was changed.
    """
    there = refuse_other_study(study, out, data)
    study = with_family(with_controls(study, data, out, machine), out)
    runs = study.runs(data.fingerprint)
    joined = join(study, there, data.fingerprint)
    statistics, has_report = statistics_of(study, out), has_report_of(out)
    plan = plan_looks(study, joined.study, statistics, there)
    looks = looks_by_hand(out, there, joined.study.seeds, has_report=has_report, begins_plan=plan is not None)
    is_changed = joined.is_changed or (there is not None and there.statistics != statistics)
    _say_what_is_joined(joined, there, study, out, watch)
    _say_what_changed(there, statistics, watch)
    if is_changed and (kept := keep_report(out)):
        watch.note(f"The report of before is kept: {kept}")
    record = _describe(joined, statistics, data, machine, runs, command, there.failed if there else ())
    record = _with_looks(record, plan, looks)
    for own in record.own_attention:
        watch.note(own.sentence)
    write_record(out / STUDY, record)
    keep_test_part(data, out, anew=there is None)
    if joined.changed:
        (out / COST).unlink(missing_ok=True)  # of the code of before
    measure_cost(joined.study, data, out, machine, watch, executor)
    return Begun(joined.study, runs, record)


def _say_what_is_joined(
    joined: Joined, there: StudyRecord | None, asked: StudySpec, out: Path, watch: Watch
) -> None:
    if joined.note:
        watch.note(f"{out}: this {joined.note}.")
    design = joined.study.design
    labels = [candidate.label for candidate in joined.study.attention]
    if asked.family is None and design.tested == "all" and design.kind == "compare" and BASELINE in labels:
        watch.note(f"The study in {out} compares all pairs, and keeps that; --family baseline changes it.")
    if there is not None and there.design.kind == "compare" and there.design.family != design.family:
        watch.note(
            f"The study in {out} compared {FAMILIES[there.design.family]}, now {FAMILIES[design.family]}."
        )


def _say_what_changed(there: StudyRecord | None, now: Statistics, watch: Watch) -> None:
    """Say that the margin or the population is another than the one that the study was begun with."""
    if there is None:
        return
    metric, before = there.task.primary, there.statistics
    was, is_now = before.margin_for(metric), now.margin_for(metric)
    if was != is_now:
        sizes = ["none" if one is None else metric.write_size(one) for one in (was, is_now)]
        watch.note(
            f"The margin of this study was {sizes[0]}, and is now {sizes[1]}, after results were seen."
        )
    if before.rests_on != now.rests_on:
        watch.note(
            f"The verdict of this study spoke of {before.rests_on}, and now speaks of {now.rests_on}, after "
            "results were seen."
        )


def _with_looks(record: StudyRecord, plan: SequentialPlan | None, looks: LooksByHand | None) -> StudyRecord:
    if plan is not None:
        record = record.model_copy(update={"sequential": plan})
    return record if looks is None else record.model_copy(update={"looks": looks})


def _describe(
    joined: Joined,
    statistics: Statistics,
    data: Data,
    machine: Machine,
    runs: list[RunSpec],
    command: str,
    failed: tuple[FailedRun, ...],
) -> StudyRecord:
    study, earlier = joined.study, {run.id for run in joined.earlier}
    asked = [PlannedRun(id=run.id, attention=run.attention.label, seed=run.seed) for run in runs]
    places = {candidate.label: place for place, candidate in enumerate(study.attention)}
    planned = sorted(
        [*joined.earlier, *asked],
        key=lambda run: (study.seeds.index(run.seed), places[run.attention]),
    )
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
        statistics=statistics,
        command=command,
        environment=describe_machine(machine, study.recipe),
        runs=tuple(planned),
        failed=tuple(run for run in failed if run.id in earlier),
    )
    if study.pretrained:
        record = record.model_copy(update={"start": describe_start(study)})
    if study.tuning:
        record = record.model_copy(update={"tuning": study.tuning})
    if sources := custom_sources(study):
        record = record.model_copy(update={"sources": sources})
    if own := find_own_attention(study):
        record = record.model_copy(update={"own_attention": own})
    if study.dense is not None:
        record = record.model_copy(update={"dense": study.dense.to_record()})
    task = find_task(study.task).record
    return record if task == CLASSIFICATION else record.model_copy(update={"task": task})


def _one(run: RunSpec, watch: Watch, data: Data, out: Path, machine: Machine) -> RunRecord:
    def on_step(epoch: int, step: int, steps: int, value: float | None) -> None:
        watch.step(_title(run), epoch, run.recipe.epochs, step, steps, value)

    return execute(run, data, out / RUNS / run.id, machine, on_step)


def _title(run: RunSpec) -> str:
    return name_with_seed(run.attention.label, run.seed)
