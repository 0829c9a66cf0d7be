"""How worker processes are started: where the system can, they share the memory of all that they import."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

from foveate.studies.engine.executors.reaper import ctrl_c_ignored

__all__ = ["starting_processes"]

PRELOADED = "foveate.studies.preloaded"


@contextmanager
def starting_processes() -> Iterator[BaseContext]:
    """Return how worker processes are started in this context; they have ended when it ends.

    Torch and the other packages take some 600 MB and several seconds in each process that imports them. On
    Linux one process does, and the workers are forked from it: its memory is theirs, too, until they write to
    it. That process has no CUDA context and runs nothing but imports. Elsewhere, and in a program that starts
    processes in this way itself, each worker imports everything.
    """
    server = getattr(forkserver, "_forkserver", None)  # it has no public name
    can_fork = sys.platform == "linux" and hasattr(server, "_stop") and _pid(server) is None
    if not can_fork:
        yield multiprocessing.get_context("spawn")
        return
    context: BaseContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    try:
        try:
            with ctrl_c_ignored():  # by the server and so by the workers, which this process ends
                forkserver.ensure_running()
            first = context.Process(target=_nothing)  # type: ignore[attr-defined]
            first.start()  # when all is imported; Ctrl-C ends the wait
            first.join()
        except (OSError, EOFError):  # the imports ended the server: a worker of its own says why
            context = multiprocessing.get_context("spawn")
        yield context
    finally:
        context.set_forkserver_preload([])
        _stop(server)


def _nothing() -> None:
    pass


def _pid(server: object) -> int | None:
    return getattr(server, "_forkserver_pid", None)


def _stop(server: object) -> None:
    """End the process that workers are forked from: a later one has the variables and files of its time."""
    if (pid := _pid(server)) is not None:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        server._stop()  # type: ignore[attr-defined]
