"""`--until-decided`: seeds are added round by round until every comparison is decided, or a budget is spent.

What is decided is replayed from the records of the folder (`foveate.evaluation.looks`), so that a study that
was killed goes on to the same decision, and one that has ended trains nothing.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from foveate.evaluation.look_sentences import look_sentence, stop_sentences
from foveate.evaluation.looks import Course, replay
from foveate.evaluation.sampled import Pair
from foveate.evaluation.study_scores import read_study_scores
from foveate.records.file_names import STUDY
from foveate.records.files import write_record
from foveate.records.sequential import SequentialPlan, Stopped
from foveate.records.study import PlannedRun, StudyRecord, read_study
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec, StudySpec

__all__ = ["Hours", "add_seeds"]

Train = Callable[[list[RunSpec], StudyRecord], StudyRecord]
"""Carries out those of the runs that are not finished, and returns the record with those that failed."""


class Hours:
    """The time that a command may take, and how long a round of runs takes."""

    def __init__(self, hours: float | None, began: float) -> None:
        self._ends = None if hours is None else began + 3600 * hours
        self._round = 0.0

    def took(self, seconds: float) -> None:
        """Take note of how long the latest round took."""
        self._round = seconds

    def has_time(self) -> bool:
        """Return whether another round as long as the latest one ends in time."""
        return self._ends is None or time.monotonic() + self._round < self._ends


def add_seeds(
    study: StudySpec,
    record: StudyRecord,
    fingerprint: str,
    out: Path,
    train: Train,
    watch: Watch,
    has_time: Callable[[], bool],
) -> StudyRecord:
    """Add seeds to the study in `out` after its first look, until it is decided or its budget is spent.

    Each round has one seed, of each candidate that is part of an open comparison. A candidate of which no
    run of the first look has finished gets no more: it fails.

    Args:
        study: the whole study.
        record: of the study; it has the runs of the first look.
        fingerprint: of the images.
        out: the folder of the study.
        train: carries out runs.
        watch: is told of each look.
        has_time: whether there is time for another round.
    """
    plan = record.sequential
    assert plan is not None
    number = plan.first
    courses: Mapping[Pair, Course] = {}
    stopped: Stopped | None = None
    while stopped is None:
        courses = _look(out, number)
        watch.note(look_sentence(record, courses, number))
        labels = {label for pair, course in courses.items() if not course.is_decided for label in pair}
        planned = {(pair.a, pair.b) for pair in record.design.pairs(record.attention)}
        if not labels:
            stopped = "decided" if planned == courses.keys() else "failed"
        elif number == plan.max_seeds:
            stopped = "max-seeds"
        else:
            runs = _round(study, labels, plan.seeds[number], fingerprint)
            if not has_time() and not _are_planned(runs, record):
                stopped = "max-hours"
            else:
                number += 1
                record = train(runs, _with_runs(record, runs))
    record = _stopped(record, plan, stopped)
    write_record(out / STUDY, record)
    for sentence in stop_sentences(record, courses):
        watch.note(sentence)
    return record


def _look(out: Path, seeds: int) -> Mapping[Pair, Course]:
    records = read_study(out)
    return replay(records, read_study_scores(records), seeds=seeds)


def _round(study: StudySpec, labels: set[str], seed: int, fingerprint: str) -> list[RunSpec]:
    candidates = tuple(candidate for candidate in study.attention if candidate.label in labels)
    return study.model_copy(update={"attention": candidates, "seeds": (seed,)}).runs(fingerprint)


def _are_planned(runs: list[RunSpec], record: StudyRecord) -> bool:
    there = {run.id for run in record.runs}
    return all(run.id in there for run in runs)


def _with_runs(record: StudyRecord, runs: list[RunSpec]) -> StudyRecord:
    """Return the record with the runs of another round; the same one if it has them."""
    there = {run.id for run in record.runs}
    added = [run for run in runs if run.id not in there]
    if not added:
        return record
    seeds = [run.seed for run in added if run.seed not in record.seeds]
    planned = [PlannedRun(id=run.id, attention=run.attention.label, seed=run.seed) for run in added]
    return record.model_copy(
        update={
            "seeds": (*record.seeds, *dict.fromkeys(seeds)),
            "runs": (*record.runs, *planned),
        }
    )


def _stopped(record: StudyRecord, plan: SequentialPlan, stopped: Stopped | None) -> StudyRecord:
    return record.model_copy(update={"sequential": plan.model_copy(update={"stopped": stopped})})
