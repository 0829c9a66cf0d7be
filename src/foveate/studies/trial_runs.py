"""The trials of a search, carried out: each trains one combination of options and reports every epoch."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from foveate.data import Data
from foveate.errors import DiskError, WorkError
from foveate.records.file_names import SEARCH
from foveate.records.labels import display_name
from foveate.records.trial import TRIAL, TrialRecord, read_trial
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.holding import Cancelled, hold_run_folder
from foveate.studies.engine.images import open_again, usual_image_size
from foveate.studies.engine.run import train
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec, StudySpec
from foveate.studies.spec.sweep import combine, swept_values
from foveate.studies.trials import ask, open_trials, trial_state
from foveate.tasks import find_task
from foveate.training.keeping import CHECKPOINT

if TYPE_CHECKING:
    import optuna

__all__ = ["TrialEnd", "make_searcher", "make_searcher_again", "search_name"]


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: its record, or why it failed."""

    title: str
    record: TrialRecord | None = None
    error: str = ""


Searcher = Callable[[int, Watch], TrialEnd | None]
"""Carries out one trial; returns None if every combination has been tried."""


def search_name(study: StudySpec, fingerprint: str) -> str:
    """Return the name of the search in its storage; another recipe or other images give another name."""
    content = study.model_dump(
        mode="json", exclude={"design", "attention", "adjust", "family", "margin", "population"}
    )
    del content["data"]["source"]
    content.pop("weights", None)
    for weights in content.get("starts", {}).values():
        del weights["path"]
    content |= {"given": study.attention[1].label, "seeds": study.seeds[0], "fingerprint": fingerprint}
    content["values"] = [[one.option, one.value] for one in study.design.values]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return f"{study.name}-{digest}"


def make_searcher_again(
    worker: int, seen: tuple[str, str], study: StudySpec, url: str, out: Path, machine: Machine, first: int
) -> Searcher:
    """Open the images once in a worker process, and return what `make_searcher` returns."""
    backbone = study.backbone_of(study.attention[0])
    size = usual_image_size(backbone, study.starts.get(backbone))
    data = open_again(study.task, study.data, size, *seen)
    return make_searcher(worker, study, url, out, machine, first, data)


def make_searcher(
    worker: int, study: StudySpec, url: str, out: Path, machine: Machine, first: int, data: Data
) -> Searcher:
    """Return the function that carries out a trial; `first` is the number of the search's first trial."""
    machine = machine.of_worker(worker)
    name = search_name(study, data.fingerprint)
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
        title = f"{display_name(candidate.label)}, trial {trial.number}"
        try:
            seen = _carry_out(spec, data, out / SEARCH / spec.id, machine, trial, partial(watch.step, title))
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
    """Train one combination and report each epoch; report a recorded one again without training it."""
    path = folder / TRIAL
    with hold_run_folder(folder, machine.torch_device) as held:
        known = read_trial(path) if path.exists() else None
        if known is not None and known.error is None:
            for epoch, accuracy in enumerate(known.accuracies, start=1):
                trial.report(accuracy, epoch)
            return known
        accuracies: list[float] = []

        def on_epoch(epoch: int, accuracy: float) -> None:
            accuracies.append(accuracy)
            trial.report(accuracy, epoch)
            if epoch < spec.recipe.epochs and trial.should_prune():
                raise Cancelled

        def step(epoch: int, at: int, steps: int, accuracy: float | None) -> None:
            on_step(epoch, spec.recipe.epochs, at, steps, accuracy)

        (folder / CHECKPOINT).unlink(missing_ok=True)  # a trial that was interrupted starts again
        started, pruned = time.perf_counter(), False
        try:
            train(spec, data, folder, machine, held.stopping(step), on_epoch)
        except Cancelled:
            pruned = True
        seconds = round(time.perf_counter() - started, 3)
        seen = TrialRecord(accuracies=tuple(accuracies), pruned=pruned, seconds=seconds)
        held.publish(TRIAL, seen)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return seen
