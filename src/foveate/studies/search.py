"""`foveate sweep --search optuna`: options searched together on the validation part, bad ones ended early."""

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock
from pydantic import Field

from foveate.data import Data
from foveate.errors import DiskError, ImagesChangedError, RequestError, WorkError
from foveate.records.base import Number, Record, Switch, reading
from foveate.records.design import Contrast, Design, Search, Trial
from foveate.records.files import write_record
from foveate.records.labels import BASELINE
from foveate.records.metric import Metric
from foveate.studies.compare import open_again, open_study, own_gpu
from foveate.studies.engine.fingerprints import changed_images
from foveate.studies.engine.folder import sole_user
from foveate.studies.engine.pool import Outcome, run_in_processes
from foveate.studies.engine.run import Cancelled, Machine, at_work, train
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.request import TRIALS, SearchSettings
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.studies.spec.sweep import combine, swept_values, usual_values
from foveate.studies.trials import ask, ended_trials, importance, open_trials, trial_state
from foveate.tasks import find_task
from foveate.training.keeping import CHECKPOINT

if TYPE_CHECKING:
    import optuna

__all__ = ["search"]

FOLDER, TRIAL = "search", "trial.json"


def search(
    study: StudySpec, settings: SearchSettings, out: Path, machine: Machine, jobs: int, watch: Watch
) -> tuple[StudySpec, Data]:
    """Search the values of a sweep together; what is left to do is the study of the best, on the images.

    Every trial trains on the study's first seed and is judged on its validation part; after each epoch the
    worse half of what is known by then ends (optuna's median pruner). The test part is not touched. Trials
    are remembered in the storage, so a search goes on where it was stopped.

    Raises:
        RequestError: the study is no sweep, optuna is not there, or the storage cannot be opened.
        WorkError: no trial came to an end.
    """
    if study.design.kind != "sweep":
        raise RequestError("--search belongs to sweep: it searches the options that a sweep names")
    data = open_study(study, out, machine, watch)
    with sole_user(out):
        values = swept_values(study.attention, study.design)
        number = min(settings.trials or TRIALS, math.prod(map(len, values.values())))
        url = settings.storage or f"sqlite:///{(out / 'search.db').absolute()}"
        metric = find_task(study.task).record.primary
        trials = open_trials(url, _name_of(study, data.fingerprint), metric)
        if settings.storage is None:  # what runs by its account was stopped: this process is alone here
            for trial in trials.get_trials(deepcopy=False, states=[trial_state("RUNNING")]):
                trials.tell(trial.number, state=trial_state("FAIL"))
        usual = usual_values(study.attention[1], values)
        if not trials.trials and all(usual[option] in values[option] for option in values):
            trials.enqueue_trial(usual)
        left = max(number - len(ended_trials(trials)), 0)
        watch.planned(number, number - left)
        given = study, url, out, machine, len(trials.trials)
        outcomes: Generator[tuple[int, Outcome[TrialEnd | None]]]
        if jobs == 1 or left < 2:
            searcher = _make_searcher(0, *given, data)
            outcomes = ((one, partial(searcher, one, watch)) for one in range(left))
        else:
            seen = data.fingerprint, data.content_fingerprint
            outcomes = run_in_processes(
                list(range(left)), min(jobs, left), watch, _make_searcher_again, seen, *given
            )
        with contextlib.closing(outcomes):
            for _, outcome in outcomes:
                try:
                    _report(outcome(), metric, watch)
                except ImagesChangedError as error:
                    raise changed_images(error, data) from error
        return _study_of_best(study, trials), data


class TrialRecord(Record):
    """trial.json: the validation value of the primary metric after each epoch of a trial."""

    accuracies: tuple[Number, ...] = Field(min_length=1)
    pruned: Switch
    seconds: Number

    def best(self, metric: Metric) -> float:
        """Return the best value."""
        return max(self.accuracies, key=lambda value: metric.sign * value)


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: its record, or why it failed."""

    title: str
    record: TrialRecord | None = None
    error: str = ""


def _report(end: TrialEnd | None, metric: Metric, watch: Watch) -> None:
    if end is None:
        return
    if end.record is None:
        watch.failed(end.title, end.error)
        return
    title = end.title + " (ended early)" * end.record.pruned
    watch.finished(title, metric, end.record.best(metric), end.record.seconds, part="validation")


def _name_of(study: StudySpec, fingerprint: str) -> str:
    """The name of the search in its storage: another recipe, or other images, are another search."""
    content = study.model_dump(mode="json", exclude={"design", "attention", "adjust"})
    del content["data"]["source"]
    content |= {"given": study.attention[1].label, "seeds": study.seeds[0], "fingerprint": fingerprint}
    content["values"] = [[one.option, one.value] for one in study.design.values]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return f"{study.name}-{digest}"


def _make_searcher_again(
    place: int, seen: tuple[str, str], study: StudySpec, url: str, out: Path, machine: Machine, first: int
) -> Callable[[int, Watch], TrialEnd | None]:
    """In a worker process: open the images once."""
    data = open_again(study.data, study.backbone_of(study.attention[0]), *seen)
    return _make_searcher(place, study, url, out, machine, first, data)


def _make_searcher(
    place: int, study: StudySpec, url: str, out: Path, machine: Machine, first: int, data: Data
) -> Callable[[int, Watch], TrialEnd | None]:
    """Return the function that carries out a trial; it returns None where nothing is left to try."""
    machine = own_gpu(machine, place)
    name = _name_of(study, data.fingerprint)
    values = swept_values(study.attention, study.design)

    metric = find_task(study.task).record.primary

    def carry_out(number: int, watch: Watch) -> TrialEnd | None:
        with FileLock(out / ".ask"):
            trials = open_trials(url, name, metric)
            trial = ask(trials, values, first)
        if trial is None:
            return None
        candidate = combine(study.attention[1], {key: values[key][one] for key, one in trial.params.items()})
        spec = study.model_copy(update={"attention": (candidate,)}).runs(data.fingerprint)[0]
        title = f"{candidate.label}, trial {trial.number}"
        try:
            seen = _carry_out(spec, data, out / FOLDER / spec.id, machine, trial, partial(watch.step, title))
        except WorkError as error:
            trials.tell(trial, state=trial_state("FAIL"))
            if isinstance(error, DiskError):
                raise
            return TrialEnd(title, error=str(error))
        if seen.pruned:
            trials.tell(trial, state=trial_state("PRUNED"))
        else:
            trials.tell(trial, seen.best(metric))
        return TrialEnd(title, seen)

    return carry_out


def _carry_out(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    trial: "optuna.Trial",
    on_step: Callable[..., None],
) -> TrialRecord:
    """Train one combination and report each epoch; one that was trained before is only reported again."""
    path = folder / TRIAL
    with at_work(folder, machine):
        if path.exists():
            with reading(path):
                seen = TrialRecord.model_validate_json(path.read_text(encoding="utf-8"))
            for epoch, accuracy in enumerate(seen.accuracies, start=1):
                trial.report(accuracy, epoch)
            return seen
        accuracies: list[float] = []

        def on_epoch(epoch: int, accuracy: float) -> None:
            accuracies.append(accuracy)
            trial.report(accuracy, epoch)
            if epoch < spec.recipe.epochs and trial.should_prune():
                raise Cancelled

        def step(epoch: int, at: int, steps: int, accuracy: float | None) -> None:
            on_step(epoch, spec.recipe.epochs, at, steps, accuracy)

        (folder / CHECKPOINT).unlink(missing_ok=True)  # a trial that was stopped starts anew
        started, pruned = time.perf_counter(), False
        try:
            train(spec, data, folder, machine, step, on_epoch)
        except Cancelled:
            pruned = True
        seconds = round(time.perf_counter() - started, 3)
        seen = TrialRecord(accuracies=tuple(accuracies), pruned=pruned, seconds=seconds)
        write_record(path, seen)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return seen


def _study_of_best(study: StudySpec, trials: "optuna.Study") -> StudySpec:
    """Plain, the mechanism as it is, and the best that was found, to be trained on all seeds and tested."""
    given, metric = study.attention[1], find_task(study.task).record.primary
    ended = ended_trials(trials)
    if not any(trial.state.name == "COMPLETE" for trial in ended):
        raise WorkError(f"of {len(trials.trials)} trials none came to its end, so there is nothing to test")
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
