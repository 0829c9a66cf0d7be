"""What ends worker processes when the process that started them is gone, and nothing before."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import IO

__all__ = ["ctrl_c_ignored", "end_with", "reaper", "watch_over"]

CODE = """
import os, signal, sys
processes = [int(line) for line in sys.stdin if line.strip()]
for process in processes:
    try:
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    except OSError:
        pass
"""
"""Reads process numbers until its input is closed, then ends these processes. It starts in 20 ms."""


@contextmanager
def reaper() -> Iterator[IO[str]]:
    """Start a process that ends the processes given to `watch_over` when this context or this process ends.

    It is needed because a worker that is still importing torch does not watch its parent yet.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", CODE], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        with suppress(OSError):
            process.stdin.close()
        process.wait()


def watch_over(listening: IO[str], processes: Iterable[int]) -> None:
    """Send the numbers of `processes` to the reaper that is `listening`."""
    with suppress(OSError):  # the reaper was killed; the processes also watch their parent themselves
        listening.write("".join(f"{process}\n" for process in processes))
        listening.flush()


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Ignore Ctrl-C within the block; processes that are started there inherit this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_with(watched: Connection) -> None:
    """Wait until the other end of a pipe is closed, as it is when its process ends, and end this process."""
    wait([watched])
    os._exit(1)
