"""`foveate sweep --search optuna`: options searched together on the validation part, bad ones ended early."""

import hashlib
import itertools
import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from foveate.data import Data
from foveate.errors import RequestError, WorkError, first_line
from foveate.files import write_json
from foveate.report.records import PLAIN
from foveate.studies.compare import open_data, open_study, own_gpu, sole_user
from foveate.studies.design import Contrast, Design, Search, Trial
from foveate.studies.pool import Outcome, run_in_processes
from foveate.studies.run import Cancelled, Machine, at_work, train
from foveate.studies.spec import RunSpec, StudySpec
from foveate.studies.sweep import combine, swept_values, usual_values
from foveate.studies.watch import Watch
from foveate.training.keeping import CHECKPOINT

if TYPE_CHECKING:
    import optuna

__all__ = ["SearchSettings", "search"]

TRIALS = 20
FOLDER, TRIAL = "search", "trial.json"
STARTUP_TRIALS = 5
"""Trials before any is ended early."""


class SearchSettings(NamedTuple):
    """How many trials, and where they are remembered: None is an SQLite file in the study's folder."""

    trials: int = TRIALS
    storage: str | None = None


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
    data = open_study(study, machine, watch)
    with sole_user(out):
        values = swept_values(study.attention, study.design)
        number = min(settings.trials, math.prod(map(len, values.values())))
        url = settings.storage or f"sqlite:///{(out / 'search.db').absolute()}"
        trials = _open(url, _name_of(study, data.fingerprint), seed=0)
        usual = usual_values(study.attention[1], values)
        if not trials.trials and all(usual[option] in values[option] for option in values):
            trials.enqueue_trial(usual)
        left = max(number - len(_ended(trials)), 0)
        watch.planned(number, number - left)
        outcomes: Iterable[tuple[int, Outcome]]
        if jobs == 1 or left < 2:
            searcher = _make_searcher(0, study, url, out, machine, data)
            outcomes = ((one, partial(searcher, one, watch)) for one in range(left))
        else:
            outcomes = run_in_processes(
                list(range(left)), min(jobs, left), watch, _make_searcher, study, url, out, machine
            )
        for _, outcome in outcomes:
            done = outcome()
            if done["error"]:
                watch.failed(done["label"], done["error"])
            else:
                watch.finished(done["label"], done["accuracy"], done["seconds"], "validation")
        return _study_of_best(study, trials), data


def _open(url: str, name: str, seed: int) -> "optuna.Study":
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise RequestError("--search optuna needs: pip install 'foveate[search]'") from error
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        return optuna.create_study(
            study_name=name,
            storage=url,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1),
        )
    except Exception as error:  # SQLAlchemy and the drivers raise what they like
        raise RequestError(f"--storage {url} cannot be used: {first_line(error)}") from error


def _name_of(study: StudySpec, fingerprint: str) -> str:
    """The name of the search in its storage: another recipe, or other images, are another search."""
    content = study.model_dump(mode="json", exclude={"design", "attention", "adjust"})
    del content["data"]["source"]
    content |= {"given": study.attention[1].label, "seeds": study.seeds[0], "fingerprint": fingerprint}
    content["values"] = [[one.option, one.value] for one in study.design.values]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return f"{study.name}-{digest}"


def _ended(trials: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Trials that came to an end, of each combination the first."""
    ended: list[optuna.trial.FrozenTrial] = []
    for trial in trials.trials:
        if trial.state.is_finished() and all(trial.params != other.params for other in ended):
            ended.append(trial)
    return ended


def _ask(trials: "optuna.Study", values: Mapping[str, Mapping[str, Any]]) -> "optuna.Trial":
    """The next combination: what the sampler suggests, or, where that was tried before, another at random."""
    trial = trials.ask()
    written = {option: trial.suggest_categorical(option, list(values[option])) for option in values}
    tried = [other.params for other in _ended(trials)]
    if written in tried:
        combinations = [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]
        untried = [one for one in combinations if one not in tried]
        if untried:
            trials.tell(trial, state=_state("FAIL"))
            trials.enqueue_trial(random.choice(untried))
            trial = trials.ask()
            for option in values:
                trial.suggest_categorical(option, list(values[option]))
    return trial


def _make_searcher(
    place: int, study: StudySpec, url: str, out: Path, machine: Machine, data: Data | None = None
) -> Callable[[int, Watch], dict[str, Any]]:
    """What carries out a trial; in a worker process the images are opened here, once."""
    machine = own_gpu(machine, place)
    if data is None:
        data = open_data(study.data, study.backbone_of(study.attention[0]))
    name = _name_of(study, data.fingerprint)
    values = swept_values(study.attention, study.design)

    def carry_out(number: int, watch: Watch) -> dict[str, Any]:
        # A sampler of its own for each trial: the same start would suggest the same values again.
        trials = _open(url, name, seed=1 + place + 1000 * len(_open(url, name, 0).trials))
        trial = _ask(trials, values)
        candidate = combine(study.attention[1], {key: values[key][one] for key, one in trial.params.items()})
        spec = study.model_copy(update={"attention": (candidate,)}).runs(data.fingerprint)[0]
        title = f"{candidate.label}, trial {trial.number}"
        try:
            seen = _carry_out(spec, data, out / FOLDER / spec.id, machine, trial, partial(watch.step, title))
        except WorkError as error:
            trials.tell(trial, state=_state("FAIL"))
            return {"label": title, "error": str(error)}
        if seen["pruned"]:
            trials.tell(trial, state=_state("PRUNED"))
        else:
            trials.tell(trial, max(seen["accuracies"]))
        ended = " (ended early)" * seen["pruned"]
        best = max(seen["accuracies"])
        return {"label": title + ended, "error": "", "accuracy": best, "seconds": seen["seconds"]}

    return carry_out


def _carry_out(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    trial: "optuna.Trial",
    on_step: Callable[..., None],
) -> dict[str, Any]:
    """Train one combination and report each epoch; one that was trained before is only reported again."""
    path = folder / TRIAL
    with at_work(folder, machine):
        if path.exists():
            seen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for epoch, accuracy in enumerate(seen["accuracies"], start=1):
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
        seen = {"accuracies": accuracies, "pruned": pruned, "seconds": seconds}
        write_json(path, seen)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return seen


def _state(name: str) -> "optuna.trial.TrialState":
    from optuna.trial import TrialState

    return TrialState[name]


def _study_of_best(study: StudySpec, trials: "optuna.Study") -> StudySpec:
    """Plain, the mechanism as it is, and the best that was found, to be trained on all seeds and tested."""
    given = study.attention[1]
    ended = _ended(trials)
    if not any(trial.state.name == "COMPLETE" for trial in ended):
        raise WorkError(f"none of {len(ended)} trials came to an end: the errors are said above")
    values = swept_values(study.attention, study.design)
    found = combine(given, {key: values[key][one] for key, one in trials.best_trial.params.items()})
    contrasts = [Contrast(a=PLAIN, b=given.label, title=given.label, group="against plain")]
    if found.label != given.label:
        contrasts += [
            Contrast(a=PLAIN, b=found.label, title=found.label, group="against plain"),
            Contrast(a=given.label, b=found.label, title="what was found", group="against the usual options"),
        ]
    states: dict[str, Any] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    record = Search(
        engine="optuna",
        seed=study.seeds[0],
        best=found.label,
        trials=tuple(
            Trial(
                number=trial.number,
                values=trial.params,
                accuracy=max(trial.intermediate_values.values(), default=None),
                epochs=len(trial.intermediate_values),
                state=states[trial.state.name],
            )
            for trial in ended
        ),
        importance=_importance(trials, len(values)),
    )
    candidates = {candidate.label: candidate for candidate in (study.attention[0], given, found)}
    design = Design(kind="sweep", subject=given.name, contrasts=tuple(contrasts), search=record)
    return study.model_copy(update={"attention": tuple(candidates.values()), "design": design})


def _importance(trials: "optuna.Study", options: int) -> dict[str, float]:
    """The share of each option in the spread of the accuracies, where there is something to tell it from."""
    from optuna.importance import get_param_importances

    complete = [trial for trial in trials.trials if trial.state.name == "COMPLETE"]
    if options < 2 or len({trial.value for trial in complete}) < STARTUP_TRIALS:
        return {}
    return {option: round(share, 4) for option, share in get_param_importances(trials).items()}
