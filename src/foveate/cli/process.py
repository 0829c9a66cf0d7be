"""The command as a process: its signals, its standard streams, its last words."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from foveate.names import printable

__all__ = [
    "INTERRUPTED",
    "TERMINATED",
    "Terminated",
    "escape_what_no_terminal_shows",
    "fault_in_words",
    "flush_streams",
    "names_what_cannot_be_read",
    "say",
    "terminable",
]

INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses after Ctrl-C (it is Typer's, too) and after SIGTERM: 128 and the signal's number."""

OF_THE_REQUEST = (errno.ENAMETOOLONG, errno.EACCES, errno.ENOTDIR, errno.ELOOP)


class Terminated(BaseException):
    """SIGTERM came. It ends the work as Ctrl-C does, so that worker processes end with it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated in the main thread when SIGTERM comes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise Terminated


def escape_what_no_terminal_shows() -> None:
    """Write characters that a stream's encoding lacks as escapes, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(words: object) -> None:
    """Print `words` as foveate's own on standard error, if anyone listens there."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"foveate: {printable(str(words))}", file=sys.stderr)


def fault_in_words(error: OSError) -> str:
    """Say what the system refused, and on what; a full disk behind standard output has no name."""
    words = error.strerror or str(error)
    if error.filename is None:
        return f"cannot write to standard output: {words}" if _fails(sys.stdout) else words
    name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    return f"{words}: {name if len(name) < 500 else name[:500] + '…'}"


def names_what_cannot_be_read(error: OSError) -> bool:
    """Whether the request is at fault: its path is too long or leads nowhere, or may not be read."""
    return error.filename is not None and error.errno in OF_THE_REQUEST


def flush_streams(status: int) -> int:
    """Write what the streams still hold; `status`, or 1 if the work was done and they do not take it.

    A reader that has gone (`| head`) is no fault to speak of. A stream that fails is turned to the null
    device, or Python would fail on it at its very end.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            if stream is sys.stdout and not isinstance(error, BrokenPipeError) and not status:
                say(f"cannot write to standard output: {error.strerror}")
            status = status or 1
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def _fails(stream: Any) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    return False
