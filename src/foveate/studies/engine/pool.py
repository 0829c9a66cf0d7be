"""Carry out several runs of a study at a time, in worker processes."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import Any, NoReturn, TypeVar

from foveate.errors import RequestError, WorkError, WorkersLostError, first_line
from foveate.studies.engine.processes import ctrl_c_ignored, starting_processes
from foveate.studies.engine.reaper import reaper, watch_over
from foveate.studies.engine.watch import QueuedWatch, Watch

__all__ = ["Outcome", "run_in_processes"]

Run = TypeVar("Run")
"""The task of a worker: the spec of a run, or the number of a trial."""

Result = TypeVar("Result")
"""What a worker returns."""

Outcome = Callable[[], Result]
"""Returns the result of a run, or raises the error that stopped it."""

MakeRunner = Callable[..., Callable[[Run, Watch], Result]]
"""Called once in each worker with its number (0, 1, …) and further arguments; returns its runner."""

_carry_out: Callable[[Any], Any]


def run_in_processes(
    runs: list[Run], jobs: int, watch: Watch, make_runner: MakeRunner[Run, Result], *arguments: Any
) -> Generator[tuple[Run, Outcome[Result]]]:
    """Carry out `runs`, `jobs` at a time, and yield each as it ends.

    The worker processes end with this generator and with this process, even if it is killed: they watch a
    pipe whose other end only this process holds. While they start, a reaper watches for them.
    """
    context = multiprocessing.get_context("spawn")
    held, watched = context.Pipe(duplex=False)[::-1]
    steps, numbers = context.Queue(), context.Queue()
    for number in range(jobs):
        numbers.put(number)
    listener = threading.Thread(target=_pass_on, args=(steps, watch), daemon=True)
    listener.start()
    start = (watched, numbers, steps, make_runner, arguments)
    with (
        starting_processes() as starting,
        reaper() as listening,
        ProcessPoolExecutor(jobs, starting, initializer=_start_worker, initargs=start) as pool,
    ):
        others = set(multiprocessing.active_children())
        with ctrl_c_ignored():  # by the workers, which this process ends
            futures = {pool.submit(_work, run): run for run in runs}
        started = set(multiprocessing.active_children()) - others
        watch_over(listening, [process.pid for process in started if process.pid is not None])
        try:
            for future in as_completed(futures):
                yield futures[future], partial(_result, future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            steps.put(None)
            listener.join()
            held.close()


def _result(future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise WorkersLostError(
            "a worker process ended without a message (out of memory?). Finished runs are kept: give the "
            "same command again, with fewer --jobs"
        ) from error


def _pass_on(steps: Any, watch: Watch) -> None:
    while (position := steps.get()) is not None:
        watch.step(*position)


def _start_worker(
    watched: Any, numbers: Any, steps: Any, make_runner: MakeRunner[Any, Any], arguments: tuple[Any, ...]
) -> None:
    global _carry_out
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    try:
        runner = make_runner(numbers.get(), *arguments)
    except (RequestError, WorkError) as error:
        # An initializer that raises breaks the pool without its message; the first run raises it instead.
        runner = partial(_raise, error)
    except Exception as error:
        why = f"a worker process could not start: {type(error).__name__}: {first_line(error)}"
        runner = partial(_raise, WorkersLostError(f"{why}. Finished runs are kept"))
    watch = QueuedWatch(steps)

    def carry_out(run: Any) -> Any:
        return runner(run, watch)

    _carry_out = carry_out


def _raise(error: Exception, *_: Any) -> NoReturn:
    raise error


def _end_with(watched: Any) -> None:
    wait([watched])
    os._exit(1)


def _work(run: Any) -> Any:
    return _carry_out(run)
