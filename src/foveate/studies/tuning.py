"""`--tune`: give each candidate of a study the same trials, and then the values that were best for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from foveate.data import Data
from foveate.errors import WorkError
from foveate.notation import count, listing
from foveate.records.labels import display_name
from foveate.records.metric import Metric
from foveate.records.study import StudyRecord
from foveate.records.trial import TrialRecord
from foveate.records.tuning import TunedCandidate, Tuning, TuningTrial
from foveate.studies.engine.controls import with_controls
from foveate.studies.engine.executors.base import Executor
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.joining import refuse_other_study
from foveate.studies.engine.proposals import propose
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.tuning import tuned_candidate, tuned_options
from foveate.studies.tuning_trials import TrialSpec, find_trial, plan_trials, run_trials
from foveate.tasks import find_task

__all__ = ["begin_tuning", "trials_left", "tune"]


def tune(
    study: StudySpec, data: Data, out: Path, machine: Machine, executor: Executor, watch: Watch
) -> StudySpec:
    """Return `study` with the recipe values and options that were best for each of its candidates.

    Each candidate, the baseline included, trains by the same proposals on the same seed, and is judged on
    the validation part alone; among equals the earlier trial counts, so that the recipe's own values stay
    unless others are better. Cost-matched controls are matched to the tuned mechanisms, and then get their
    own trials. A candidate that was tuned when the study in `out` was begun keeps its values. Without
    `study.tune` the study is returned as it is. The caller must be the folder's `sole_user`.

    Raises:
        RequestError: `out` holds another study.
        WorkError: no trial was completed, the disk is full, or a worker process was lost; trials that ended
            are kept.
    """
    if study.tune is None:
        return study
    study = _tune_candidates(begin_tuning(study, out, data), data, out, machine, executor, watch)
    if study.control is not None:
        study = with_controls(study, data, out, machine).model_copy(update={"control": None})
        study = _tune_candidates(begin_tuning(study, out, data), data, out, machine, executor, watch)
    return study


def begin_tuning(study: StudySpec, out: Path, data: Data) -> StudySpec:
    """Return `study` with its proposals, and with the values of the candidates that were tuned before.

    Those are recorded in the study in `out`, if it is joined; runs rest on them.

    Raises:
        RequestError: `out` holds another study.
    """
    assert study.tune is not None
    there = refuse_other_study(study, out, data)
    before = study.tuning or (there.tuning if there else None) or propose(study.tune, study.recipe)
    recorded = _recorded(study, there)
    known = {one.label: one for one in (*recorded, *(study.tuning.candidates if study.tuning else ()))}
    own = tuple(known[one.label] for one in study.attention if one.label in known)
    return _with_values(study, before.model_copy(update={"candidates": own}))


def _recorded(study: StudySpec, there: StudyRecord | None) -> tuple[TunedCandidate, ...]:
    """Return what candidates got before, but for classes whose source code was changed since."""
    if there is None or there.tuning is None:
        return ()
    sources = {one.label: one.source for one in study.attention if one.is_custom}
    return tuple(
        one
        for one in there.tuning.candidates
        if (source := there.source_of(one.label)) is None or source.digest == sources.get(one.label)
    )


def _untuned(study: StudySpec) -> list[Candidate]:
    """Return the candidates that have had no trials."""
    assert study.tuning is not None
    return [one for one in study.attention if study.tuning.of(one.label) is None]


def trials_left(study: StudySpec, data: Data, out: Path) -> list[list[TrialSpec]]:
    """Return the trials that have not ended: those of the mechanisms, and then those of their controls."""
    if study.tuning is None:
        return []
    controls = {control.label for control in study.design.controls}
    stages: list[list[Candidate]] = [[], []]
    for one in _untuned(study):
        stages[one.label in controls].append(one)
    return [
        [
            trial
            for trial in plan_trials(study, study.tuning, stage, data.fingerprint)
            if find_trial(trial, out) is None
        ]
        for stage in stages
        if stage
    ]


def _tune_candidates(
    study: StudySpec, data: Data, out: Path, machine: Machine, executor: Executor, watch: Watch
) -> StudySpec:
    """Carry out the trials of the candidates that have had none, and return the study with their values."""
    tuning, waiting = study.tuning, _untuned(study)
    assert tuning is not None
    assert study.tune is not None
    if not waiting:
        return study
    trials = plan_trials(study, tuning, waiting, data.fingerprint)
    watch.note(
        f"First the trials: {len(tuning.proposals)} for each of {count(len(waiting), 'candidate')}, judged "
        f"on the validation part of seed {tuning.seed}."
    )
    ended = run_trials(trials, data, out, machine, executor, watch)
    if all(_value(one) is None for one in ended.values()):
        first = next(iter(ended.values()))
        why = first if isinstance(first, WorkError) else first.error
        raise WorkError(f"none of the {len(trials)} trials was completed. The first error: {why}")
    metric = find_task(study.task).record.primary
    tuned = [
        _choose(one.label, tuned_options(study.tune, one), _of(one, trials), ended, metric) for one in waiting
    ]
    tuning = tuning.model_copy(update={"candidates": (*tuning.candidates, *tuned)})
    for one in tuned:
        watch.note(_describe(one, tuning, metric))
    return _with_values(study, tuning)


def _of(candidate: Candidate, trials: Sequence[TrialSpec]) -> list[TrialSpec]:
    return [trial for trial in trials if trial.label == candidate.label]


def _value(ended: TrialRecord | WorkError) -> float | None:
    return ended.chosen if isinstance(ended, TrialRecord) else None


def _choose(
    label: str,
    options: tuple[str, ...],
    trials: Sequence[TrialSpec],
    ended: Mapping[str, TrialRecord | WorkError],
    metric: Metric,
) -> TunedCandidate:
    """Return what a candidate got; the best of its trials is chosen, and among equals the first."""
    rows = []
    for trial in trials:
        record = ended[trial.run.id]
        value = _value(record)
        rows.append(
            TuningTrial(
                number=trial.number,
                validation=value,
                epochs=len(record.accuracies) if isinstance(record, TrialRecord) else 0,
                state="failed" if value is None else "complete",
            )
        )
    values = {row.number: metric.sign * row.validation for row in rows if row.validation is not None}
    chosen = max(values, key=values.__getitem__, default=0)
    return TunedCandidate(label=label, options=options, chosen=chosen, trials=tuple(rows))


def _describe(one: TunedCandidate, tuning: Tuning, metric: Metric) -> str:
    chosen, best = tuning.proposal(one.chosen, one.options), one.best
    name = display_name(one.label)
    if best.validation is None:
        return f"{name}: all {len(one.trials)} trials failed; it keeps the recipe's own values."
    options = [f"{option} {value}" for option, value in chosen.options.items()]
    values = [f"learning rate {chosen.learning_rate:g}", f"weight decay {chosen.weight_decay:g}", *options]
    own = " (the recipe's own)" if one.chosen == 0 else ""
    return f"{name} takes {listing(values)}{own}: validation {metric.name} {best.validation:.4f}."


def _with_values(study: StudySpec, tuning: Tuning) -> StudySpec:
    """Return `study` with `tuning`, its tuned candidates with the options that were chosen for them."""
    assert study.tune is not None
    candidates = [
        tuned_candidate(one, study.tune, chosen) if (chosen := tuning.chosen(one.label)) else one
        for one in study.attention
    ]
    return study.model_copy(update={"attention": tuple(candidates), "tuning": tuning})
