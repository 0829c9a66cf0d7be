"""Carry out tasks that train, in this process or in several, and return what each came to."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from foveate.data import Data
from foveate.errors import DiskError, ImagesChangedError, WorkError, WorkersLostError
from foveate.studies.engine.fingerprints import changed_images
from foveate.studies.engine.images import open_again, share_images, usual_image_size
from foveate.studies.engine.pool import Outcome, run_in_processes
from foveate.studies.engine.run import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec

__all__ = ["carry_out"]

Task = TypeVar("Task")
"""A run of a study, or a trial."""
Result = TypeVar("Result")
"""The record of a task."""

Execute = Callable[[Task, Watch, Data, Path, Machine], Result]
"""Carries out one task in the folder of a study; a function of a module, as worker processes need it."""


def carry_out(
    tasks: Sequence[Task],
    execute: Execute[Task, Result],
    spec: Callable[[Task], RunSpec],
    data: Data,
    out: Path,
    machine: Machine,
    jobs: int,
    watch: Watch,
) -> Iterator[tuple[Task, Result | WorkError]]:
    """Carry out `tasks`, `jobs` at a time, and yield each as it ends with its record, or why it failed.

    `spec` returns what a task trains; worker processes open its images once.

    Raises:
        WorkError: the disk is full, the images were changed, or a worker process was lost: nothing goes on.
    """
    outcomes: Generator[tuple[Task, Outcome[Result]]]
    if jobs == 1 or len(tasks) < 2:
        outcomes = ((task, partial(execute, task, watch, data, out, machine)) for task in tasks)
    else:
        share_images(data, watch)
        given = execute, spec(tasks[0]), data.content_fingerprint, out, machine
        outcomes = run_in_processes(list(tasks), min(jobs, len(tasks)), watch, _make_runner, *given)
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


def _make_runner(
    worker: int, execute: Execute[Task, Result], spec: RunSpec, content: str, out: Path, machine: Machine
) -> Callable[[Task, Watch], Result]:
    """Open the images once in a worker process, and return the function that carries out a task there."""
    size = usual_image_size(spec.backbone, spec.weights)
    data = open_again(spec.task, spec.data, size, spec.fingerprint, content)
    own = machine.of_worker(worker)
    return lambda task, watch: execute(task, watch, data, out, own)
