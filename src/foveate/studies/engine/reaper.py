"""Ends worker processes when the process that started them is gone, whatever they are doing."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

__all__ = ["reaper", "watch_over"]

CODE = """
import os, signal, sys
processes = [int(line) for line in sys.stdin if line.strip()]
for process in processes:
    try:
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    except OSError:
        pass
"""
"""Reads the numbers of processes until nobody can write more, and ends those. It starts in 20 ms."""


@contextmanager
def reaper() -> Iterator[IO[str]]:
    """Start a process that ends the ones it is told of when this context, or this process, comes to its end.

    A worker that is still importing torch cannot watch its parent yet, and would outlive it by all that time.
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
    """Tell the reaper that is `listening` the numbers of processes."""
    with suppress(OSError):  # it was ended by somebody: the processes still watch for themselves
        listening.write("".join(f"{process}\n" for process in processes))
        listening.flush()
