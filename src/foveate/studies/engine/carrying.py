"""Carry out tasks that train, in this process or where an executor has them done."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from foveate.data import Data
from foveate.errors import DiskError, ImagesChangedError, WorkError, WorkersLostError
from foveate.storage.opening import local_folder, place_of
from foveate.studies.engine.ddp.meeting import follows, leading
from foveate.studies.engine.executors.base import Executor, MakeRunner, Outcome, Result
from foveate.studies.engine.fingerprints import changed_images
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.images import open_for, share_images
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec

__all__ = ["carry_out", "carry_out_here_or", "executor_machine"]

Task = TypeVar("Task")
"""A run of a study, or a trial."""

Execute = Callable[[Task, Watch, Data, Path, Machine], Result]
"""Carries out one task in the folder of a study; a function of a module, as worker processes need it."""


def carry_out(
    tasks: Sequence[Task],
    execute: Execute[Task, Result],
    spec: Callable[[Task], RunSpec],
    data: Data,
    out: Path,
    machine: Machine,
    executor: Executor,
    watch: Watch,
) -> Iterator[tuple[Task, Result | WorkError]]:
    """Have `executor` carry out `tasks`, and yield each as it ends with its record, or why it failed.

    `spec` returns what a task trains; worker processes open its images once.

    Raises:
        WorkError: the disk is full, the images were changed, or a worker process was lost: nothing goes on.
    """
    if not tasks:
        return

    def here(task: Task, watch: Watch) -> Result:
        return execute(task, watch, data, out, machine)

    given = (
        execute,
        spec(tasks[0]),
        data.content_fingerprint,
        place_of(out),
        executor_machine(executor, machine),
    )
    outcomes: Generator[tuple[Task, Outcome[Result]]]
    if machine.devices > 1 and executor.device is None:
        share_images(data, watch)  # with the other processes of a run
    together = machine.nodes > 1
    outcomes = carry_out_here_or(executor, tasks, watch, data, here, _make_runner, *given, together=together)
    with contextlib.closing(outcomes):
        for task, outcome in outcomes:
            try:
                result: Result | WorkError = outcome()
            except ImagesChangedError as error:
                raise changed_images(error, data) from error
            except (DiskError, WorkersLostError):
                raise
            except WorkError as error:
                result = error
            yield task, result


def executor_machine(executor: Executor, machine: Machine) -> Machine:
    """Return `machine` with the device that a run has where `executor` has it carried out."""
    return machine if executor.device is None else replace(machine, device=executor.device)


def carry_out_here_or(
    executor: Executor,
    tasks: Sequence[Task],
    watch: Watch,
    data: Data,
    here: Callable[[Task, Watch], Result],
    make_runner: MakeRunner[Task, Result],
    *arguments: Any,
    together: bool = False,
) -> Generator[tuple[Task, Outcome[Result]]]:
    """Carry out `tasks` with `here`, in this process, where `executor` would start a single other one."""
    if executor.device is None:
        if executor.jobs == 1 or len(tasks) < 2:
            return ((task, partial(here, task, watch)) for task in tasks)
        share_images(data, watch)
    return executor.carry_out(tasks, watch, make_runner, *arguments, together=together)


def _make_runner(
    worker: int, execute: Execute[Task, Result], spec: RunSpec, content: str, place: str, machine: Machine
) -> Callable[[Task, Watch], Result]:
    """Open the images once in a worker process, and return the function that carries out a task there.

    Of the processes of a run on several machines, the first carries it out, and the others take their part.
    """
    own = machine.of_worker(worker)
    if own.nodes > 1 and follows(own):
        return _nothing
    data, out = open_for(spec, content), local_folder(place, pulls=False)

    def carry_out_one(task: Task, watch: Watch) -> Result:
        with leading(own):
            return execute(task, watch, data, out, own)

    return carry_out_one


def _nothing(task: object, watch: Watch) -> Any:
    """Return no result: it is that of the first process."""
