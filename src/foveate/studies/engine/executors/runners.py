"""The runner of a worker process, which carries out its tasks, and what becomes of its errors."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from foveate.errors import (
    ImagesChangedError,
    NotFiniteError,
    RequestError,
    WorkError,
    WorkersLostError,
    in_words,
)
from foveate.studies.engine.executors.base import MakeRunner, Result, Run
from foveate.studies.engine.watch import Watch

__all__ = ["failed_run", "start_runner"]


def start_runner(
    make_runner: MakeRunner[Run, Result], worker: int, *arguments: Any
) -> Callable[[Run, Watch], Result]:
    """Return the runner of a worker; if it cannot be made, one that raises the reason for every task."""
    try:
        return make_runner(worker, *arguments)
    except (RequestError, WorkError) as error:
        return partial(_raise, error)
    except Exception as error:
        why = f"a worker process could not start: {in_words(error)}"
        return partial(_raise, WorkersLostError(f"{why}. Finished runs are kept"))


def failed_run(error: BaseException) -> WorkError:
    """Return the error of a task on another machine as one of its run alone.

    A full disk, or a file that is missing, is a fault of one node: the runs of the others go on. Changed
    images are one of all, and a loss that is not finite is told from other errors.
    """
    if isinstance(error, ImagesChangedError | NotFiniteError):
        return error
    is_said = isinstance(error, RequestError | WorkError)
    return WorkError(str(error) if is_said else in_words(error))


def _raise(error: Exception, *_: Any) -> NoReturn:
    raise error
