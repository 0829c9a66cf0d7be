"""`foveate sweep --search optuna`: search several options together on the validation part."""

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from foveate.data import Data
from foveate.errors import ImagesChangedError, RequestError, WorkError
from foveate.records.design import Contrast, Design, Search, Trial
from foveate.records.labels import BASELINE
from foveate.records.metric import Metric
from foveate.storage.opening import publish
from foveate.studies.engine.carrying import carry_out_here_or
from foveate.studies.engine.executors.base import Executor
from foveate.studies.engine.fingerprints import changed_images
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.holding import sole_user
from foveate.studies.engine.images import open_study
from foveate.studies.engine.joining import refuse_other_study
from foveate.studies.engine.start import with_weights
from foveate.studies.engine.watch import WaitingRun, Watch
from foveate.studies.spec.defaults import TRIALS
from foveate.studies.spec.request import SearchSettings
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.sweep import combine, swept_values, usual_values
from foveate.studies.trial_runs import TrialEnd, make_searcher, make_searcher_again, search_name
from foveate.studies.trials import ended_trials, importance, open_trials, trial_state
from foveate.tasks import find_task

if TYPE_CHECKING:
    import optuna

__all__ = ["search"]


def search(
    study: StudySpec,
    settings: SearchSettings,
    out: Path,
    machine: Machine,
    executor: Executor,
    watch: Watch,
    data: Data | None = None,
) -> tuple[StudySpec, Data]:
    """Search the values of a sweep together, and return the study of the best combination, and its images.

    Every trial trains on the study's first seed and is scored on its validation part, never on the test
    part. After each epoch, Optuna's median pruner ends a trial that is worse than the median so far. The
    storage keeps the trials, so the same command resumes the search. `data` are the study's images, if they
    are already open.

    Raises:
        RequestError: the study is no sweep, optuna is not installed, or the storage cannot be opened.
        WorkError: no trial was completed.
    """
    if study.design.kind != "sweep":
        raise RequestError("--search belongs to sweep: it searches the options that a sweep names")
    if executor.device is not None or machine.nodes > 1:
        raise RequestError(
            "--search has its trials on this machine: leave out --on and --nodes, or choose options by --tune"
        )
    if study.tune is not None:
        raise RequestError(
            "--search chooses options and --tune recipe values, each with trials of its own: give one of the "
            "two"
        )
    refuse_other_study(study, out, searches=True)
    study = with_weights(study, watch)
    data = data or open_study(study, out, machine, watch)
    refuse_other_study(study, out, data, searches=True)
    with sole_user(out, watch.note) as lease:
        values = swept_values(study.attention, study.design)
        number = min(settings.trials or TRIALS, math.prod(map(len, values.values())))
        url = settings.storage or f"sqlite:///{(out / 'search.db').absolute()}"
        metric = find_task(study.task).record.primary
        trials = open_trials(url, search_name(study, data.fingerprint), metric)
        if settings.storage is None:  # only this process uses it: trials marked as running were interrupted
            for trial in trials.get_trials(deepcopy=False, states=[trial_state("RUNNING")]):
                trials.tell(trial.number, state=trial_state("FAIL"))
        usual = usual_values(study.attention[1], values)
        if not trials.trials and all(usual[option] in values[option] for option in values):
            trials.enqueue_trial(usual)
        left = max(number - len(ended_trials(trials)), 0)
        watch.planned(number, number - left)
        watch.waiting(
            [WaitingRun(f"trial {one}", study.attention[1].label) for one in range(left)], executor.jobs
        )
        first, seen = len(trials.trials), (data.fingerprint, data.content_fingerprint)
        here = make_searcher(0, study, url, out, machine, first, data)
        given = seen, study, url, out, machine, first
        with contextlib.closing(
            carry_out_here_or(executor, range(left), watch, data, here, make_searcher_again, *given)
        ) as outcomes:
            for _, outcome in outcomes:
                lease.refuse_lost()
                try:
                    _report(outcome(), metric, watch)
                except ImagesChangedError as error:
                    raise changed_images(error, data) from error
                publish(out)
        return _study_of_best(study, trials), data


def _report(end: TrialEnd | None, metric: Metric, watch: Watch) -> None:
    if end is None:
        return
    if end.record is None:
        watch.failed(end.title, end.error)
        return
    title = end.title + " (ended early)" * end.record.pruned
    watch.finished(title, metric, end.record.best(metric), end.record.seconds, part="validation")


def _study_of_best(study: StudySpec, trials: "optuna.Study") -> StudySpec:
    """Return the study of the baseline, the mechanism as given, and the best combination that was found."""
    given, metric = study.attention[1], find_task(study.task).record.primary
    ended = ended_trials(trials)
    if not any(trial.state.name == "COMPLETE" for trial in ended):
        raise WorkError(f"none of {len(trials.trials)} trials was completed, so there is nothing to test")
    known = [trial.params for trial in ended]
    failed = [one for one in trials.get_trials(states=[trial_state("FAIL")]) if one.params not in known]
    values = swept_values(study.attention, study.design)
    found = combine(given, {key: values[key][one] for key, one in trials.best_trial.params.items()})
    contrasts = [Contrast(a=BASELINE, b=given.label, title=given.label, group="against plain")]
    if found.label != given.label:
        contrasts += [
            Contrast(a=BASELINE, b=found.label, title=found.label, group="against plain"),
            Contrast(a=given.label, b=found.label, title="what was found", group="against the usual options"),
        ]
    states: dict[str, Literal["complete", "pruned", "failed"]] = {
        "COMPLETE": "complete",
        "PRUNED": "pruned",
        "FAIL": "failed",
    }
    record = Search(
        engine="optuna",
        seed=study.seeds[0],
        best=found.label,
        trials=tuple(
            Trial(
                number=trial.number,
                values=trial.params,
                accuracy=max(
                    trial.intermediate_values.values(), key=lambda value: metric.sign * value, default=None
                ),
                epochs=len(trial.intermediate_values),
                state=states[trial.state.name],
            )
            for trial in [*ended, *failed]
        ),
        importance=importance(trials, len(values)),
    )
    candidates = {candidate.label: candidate for candidate in (study.attention[0], given, found)}
    design = Design(kind="sweep", subject=given.name, contrasts=tuple(contrasts), search=record)
    return study.model_copy(update={"attention": tuple(candidates.values()), "design": design})
