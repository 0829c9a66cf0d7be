"""The runner of a worker process, which carries out its tasks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from foveate.errors import RequestError, WorkError, WorkersLostError, first_line
from foveate.studies.engine.executors.base import MakeRunner, Result, Run
from foveate.studies.engine.watch import Watch

__all__ = ["start_runner"]


def start_runner(
    make_runner: MakeRunner[Run, Result], worker: int, *arguments: Any
) -> Callable[[Run, Watch], Result]:
    """Return the runner of a worker; if it cannot be made, one that raises the reason for every task."""
    try:
        return make_runner(worker, *arguments)
    except (RequestError, WorkError) as error:
        return partial(_raise, error)
    except Exception as error:
        why = f"a worker process could not start: {type(error).__name__}: {first_line(error)}"
        return partial(_raise, WorkersLostError(f"{why}. Finished runs are kept"))


def _raise(error: Exception, *_: Any) -> NoReturn:
    raise error
