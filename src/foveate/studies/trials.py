"""The trials of a search as Optuna keeps them: their storage, those that ended, the next to be tried."""

import itertools
import logging
import random
from typing import TYPE_CHECKING

from foveate.errors import RequestError, first_line
from foveate.records.metric import Metric
from foveate.studies.engine.environment import without_password
from foveate.studies.spec.sweep import SweptValues

if TYPE_CHECKING:
    import optuna

__all__ = ["ask", "ended_trials", "importance", "open_trials", "trial_state"]

STARTUP_TRIALS = 5
"""Trials before any is ended early, or any importance is told."""


def open_trials(url: str, name: str, metric: Metric) -> "optuna.Study":
    """Open the search called `name` in the storage at `url`, or begin it; it optimises `metric`.

    Raises:
        RequestError: optuna is not there, or the storage cannot be opened, or forgets.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise RequestError("--search optuna needs: pip install 'foveate[search]'") from error
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        trials = optuna.create_study(
            study_name=name,
            storage=url,
            direction="maximize" if metric.higher_is_better else "minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1),
        )
        optuna.load_study(study_name=name, storage=url)  # as the processes of a search do
    except Exception as error:  # SQLAlchemy and the drivers raise what they like
        raise RequestError(
            f"--storage {without_password(url)} cannot be used: {without_password(first_line(error))}"
        ) from error
    return trials


def ended_trials(trials: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Trials that came to an end, of each combination one: that which went all the way, if there is one."""
    ended: list[optuna.trial.FrozenTrial] = []
    for state in (trial_state("COMPLETE"), trial_state("PRUNED")):
        for trial in trials.get_trials(states=[state]):
            if all(trial.params != other.params for other in ended):
                ended.append(trial)
    return sorted(ended, key=lambda trial: trial.number)


def ask(trials: "optuna.Study", values: SweptValues, first: int) -> "optuna.Trial | None":
    """The next combination: what the sampler suggests, or, where that was tried, another; None: all were.

    What failed is tried again by the next search, whose trials begin with number `first`, and not by this.
    """
    from optuna.samplers import TPESampler

    tried = [
        other.params
        for other in trials.get_trials()
        if other.state.name in ("COMPLETE", "PRUNED", "RUNNING") or other.number >= first
    ]
    combinations = [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]
    untried = [one for one in combinations if one not in tried]
    if not untried:
        return None
    # A sampler of its own for each trial: the same start would suggest the same values again.
    trials.sampler = TPESampler(seed=1 + len(trials.trials))
    trial = _suggest(trials, values)
    if trial.params not in untried:
        trials.tell(trial, state=trial_state("FAIL"))
        trials.enqueue_trial(random.Random(trial.number).choice(untried))
        trial = _suggest(trials, values)
    return trial


def _suggest(trials: "optuna.Study", values: SweptValues) -> "optuna.Trial":
    trial = trials.ask()
    for option in values:
        trial.suggest_categorical(option, list(values[option]))
    return trial


def trial_state(name: str) -> "optuna.trial.TrialState":
    """Optuna's state of that name, imported where it is used."""
    from optuna.trial import TrialState

    return TrialState[name]


def importance(trials: "optuna.Study", options: int) -> dict[str, float]:
    """The share of each option in the spread of the accuracies, where there is something to tell it from."""
    from optuna.importance import get_param_importances

    complete = [trial for trial in trials.trials if trial.state.name == "COMPLETE"]
    if options < 2 or len({trial.value for trial in complete}) < STARTUP_TRIALS:
        return {}
    return {option: round(share, 4) for option, share in get_param_importances(trials).items()}
