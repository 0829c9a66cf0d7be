"""Carry out several runs of a study at a time, in worker processes of this machine."""

import multiprocessing
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from foveate.errors import WorkersLostError
from foveate.studies.engine.executors.base import MakeRunner, Outcome, Result, Run
from foveate.studies.engine.executors.reaper import ctrl_c_ignored, end_with, reaper, watch_over
from foveate.studies.engine.executors.runners import start_runner
from foveate.studies.engine.executors.starting import starting_processes
from foveate.studies.engine.watch import QueuedWatch, Watch

__all__ = ["HERE", "LocalProcesses"]

_carry_out: Any


@dataclass(frozen=True)
class LocalProcesses:
    """Carries out tasks on this machine, `jobs` at a time."""

    jobs: int = 1
    device = None

    def __enter__(self) -> "LocalProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: worker processes end with the tasks that they were started for."""

    def check(self, out: Path, paths: Sequence[Path]) -> None:
        """Do nothing: worker processes see what this one sees."""

    def carry_out(
        self,
        tasks: Sequence[Run],
        watch: Watch,
        make_runner: MakeRunner[Run, Result],
        *arguments: Any,
        together: bool = False,
    ) -> Generator[tuple[Run, Outcome[Result]]]:
        """Carry out `tasks` in worker processes, and yield each as it ends."""
        assert not together, "one machine is not several"
        return _run_in_processes(tasks, min(self.jobs, len(tasks)), watch, make_runner, *arguments)


HERE = LocalProcesses()
"""One task at a time, in this process."""


def _run_in_processes(
    runs: Sequence[Run], jobs: int, watch: Watch, make_runner: MakeRunner[Run, Result], *arguments: Any
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
    threading.Thread(target=end_with, args=(watched,), daemon=True).start()
    runner = start_runner(make_runner, numbers.get(), *arguments)
    watch = QueuedWatch(steps.put)

    def carry_out(run: Any) -> Any:
        return runner(run, watch)

    _carry_out = carry_out


def _work(run: Any) -> Any:
    return _carry_out(run)
