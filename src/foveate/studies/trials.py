"""The trials of a search in Optuna's storage: open it, list its ended trials, ask for the next one."""

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
"""Trials before any is pruned, and before importances are computed."""


def open_trials(url: str, name: str, metric: Metric) -> "optuna.Study":
    """Open or create the search called `name` in the storage at `url`; it optimises `metric`.

    Raises:
        RequestError: optuna is not installed, or the storage cannot be opened or does not keep its content.
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
        optuna.load_study(study_name=name, storage=url)  # worker processes open it again
    except Exception as error:  # SQLAlchemy and its drivers raise errors of any type
        raise RequestError(
            f"--storage {without_password(url)} cannot be used: {without_password(first_line(error))}"
        ) from error
    return trials


def ended_trials(trials: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return one ended trial of each combination, a complete one if there is one."""
    ended: list[optuna.trial.FrozenTrial] = []
    for state in (trial_state("COMPLETE"), trial_state("PRUNED")):
        for trial in trials.get_trials(states=[state]):
            if all(trial.params != other.params for other in ended):
                ended.append(trial)
    return sorted(ended, key=lambda trial: trial.number)


def ask(trials: "optuna.Study", values: SweptValues, first: int) -> "optuna.Trial | None":
    """Return a trial of the next combination, or None if all were tried.

    The sampler suggests it; if that combination was tried, a random one is chosen among the rest. `first` is
    the number of this search's first trial: failures of earlier searches are tried again.
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
    # Each trial has its own seed: the same seed would suggest the same values again.
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
    """Return Optuna's state called `name`; optuna is imported only here, as it is optional."""
    from optuna.trial import TrialState

    return TrialState[name]


def importance(trials: "optuna.Study", options: int) -> dict[str, float]:
    """Return the share of the spread that each option explains; {} if there are too few trials."""
    from optuna.importance import get_param_importances

    complete = [trial for trial in trials.trials if trial.state.name == "COMPLETE"]
    if options < 2 or len({trial.value for trial in complete}) < STARTUP_TRIALS:
        return {}
    return {option: round(share, 4) for option, share in get_param_importances(trials).items()}
