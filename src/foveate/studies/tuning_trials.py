"""The trials of a tuning, carried out: each trains one candidate by one proposal, and is never tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foveate.data import Data
from foveate.errors import NotFiniteError, WorkError
from foveate.records.file_names import SEARCH
from foveate.records.labels import display_name
from foveate.records.trial import TRIAL, TrialRecord, read_trial
from foveate.records.tuning import Tuning
from foveate.studies.engine.carrying import carry_out
from foveate.studies.engine.executors.base import Executor
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.holding import hold_run_folder
from foveate.studies.engine.run import train
from foveate.studies.engine.watch import WaitingRun, Watch
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.studies.spec.tuning import proposed_recipe, tuned_candidate, tuned_options
from foveate.tasks import find_task
from foveate.training.keeping import CHECKPOINT

__all__ = ["TrialSpec", "find_trial", "plan_trials", "run_trials"]


@dataclass(frozen=True)
class TrialSpec:
    """One trial: the label of its candidate, the number of its proposal, and what it trains."""

    label: str
    number: int
    run: RunSpec

    @property
    def title(self) -> str:
        """What a person reads of it."""
        return f"{display_name(self.label)}, trial {self.number}"


def plan_trials(
    study: StudySpec, tuning: Tuning, candidates: Sequence[Candidate], fingerprint: str
) -> list[TrialSpec]:
    """Return the trials of `candidates`, proposal by proposal, so that all have had as many at any time."""
    tune = study.tune
    assert tune is not None
    trials = []
    for number in range(len(tuning.proposals)):
        for candidate in candidates:
            proposal = tuning.proposal(number, tuned_options(tune, candidate))
            one = study.model_copy(
                update={
                    "attention": (tuned_candidate(candidate, tune, proposal),),
                    "recipe": proposed_recipe(study.recipe, proposal),
                    "seeds": (tuning.seed,),
                    "tuning": None,
                }
            )
            trials.append(TrialSpec(candidate.label, number, one.runs(fingerprint)[0]))
    return trials


def find_trial(trial: TrialSpec, out: Path) -> TrialRecord | None:
    """Return the record of a trial that ended before; None if it is still to be carried out.

    A loss that was not finite is an end: it would be so again. Other failures are tried again.

    Raises:
        RequestError: the record is not valid.
    """
    path = out / SEARCH / trial.run.id / TRIAL
    record = read_trial(path) if path.is_file() else None
    # A trial of a search may have ended early, and says nothing of which weights were chosen.
    return record if record and (record.chosen_epoch is not None or record.error is not None) else None


def run_trials(
    trials: Sequence[TrialSpec], data: Data, out: Path, machine: Machine, executor: Executor, watch: Watch
) -> dict[str, TrialRecord | WorkError]:
    """Carry out the trials that have not ended; return records and errors by run id.

    Raises:
        WorkError: the disk is full, the images were changed, or a worker process was lost; what has ended
            is kept.
    """
    ended = {one.run.id: record for one in trials if (record := find_trial(one, out))}
    waiting = list({one.run.id: one for one in trials if one.run.id not in ended}.values())
    found: dict[str, TrialRecord | WorkError] = dict(ended)
    if not waiting:
        return found
    watch.planned(len(trials), len(trials) - len(waiting))
    watch.waiting([WaitingRun(one.title, one.label) for one in waiting], executor.jobs)
    for trial, ended_as in carry_out(waiting, _one, lambda one: one.run, data, out, machine, executor, watch):
        found[trial.run.id] = ended_as
        if isinstance(ended_as, WorkError):
            watch.failed(trial.title, str(ended_as))
        else:
            _report(trial, ended_as, watch)
    return found


def _report(trial: TrialSpec, record: TrialRecord, watch: Watch) -> None:
    if record.chosen is None:
        watch.failed(trial.title, record.error or "")
    else:
        metric = find_task(trial.run.task).record.primary
        watch.finished(trial.title, metric, record.chosen, record.seconds, part="validation")


def _one(trial: TrialSpec, watch: Watch, data: Data, out: Path, machine: Machine) -> TrialRecord:
    """Train one trial, resuming from its checkpoint, and record how it ended.

    There is no pruning: a cosine schedule makes a high learning rate look bad until its end, and what is
    ended early would depend on the order in which trials end.
    """
    run = trial.run
    folder, metric = out / SEARCH / run.id, find_task(run.task).record.primary

    def on_step(epoch: int, step: int, steps: int, value: float | None) -> None:
        watch.step(trial.title, epoch, run.recipe.epochs, step, steps, value)

    with hold_run_folder(folder, machine.torch_device) as held:
        if known := find_trial(trial, out):  # another process ended it meanwhile
            return known
        try:
            _, fitted = train(run, data, folder, machine, held.stopping(on_step))
        except NotFiniteError as error:
            record = TrialRecord(accuracies=(), pruned=False, seconds=0.0, error=str(error))
        else:
            record = TrialRecord(
                accuracies=tuple(epoch.validation(metric) for epoch in fitted.epochs),
                pruned=False,
                seconds=round(sum(epoch.seconds or 0.0 for epoch in fitted.epochs), 3),
                chosen_epoch=fitted.chosen_epoch,
            )
        held.publish(TRIAL, record)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return record
