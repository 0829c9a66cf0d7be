"""The command as a process: its signals, its standard streams, and how it reports system errors."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from foveate.names import printable

__all__ = [
    "INTERRUPTED",
    "TERMINATED",
    "Terminated",
    "describe_os_error",
    "escape_unencodable",
    "flush_streams",
    "is_wrong_request",
    "loading",
    "print_error",
    "terminable",
]

INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses after Ctrl-C and after SIGTERM: 128 plus the number of the signal."""

WRONG_PATH = (errno.ENAMETOOLONG, errno.EACCES, errno.ENOTDIR, errno.ELOOP)
"""System errors that the path of the request causes."""


class Terminated(BaseException):
    """Raised on SIGTERM. It ends the work as Ctrl-C does, so that worker processes end with it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated in the main thread on SIGTERM, as long as the context is open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is raised once
    raise Terminated


@contextmanager
def loading() -> Iterator[None]:
    """End the process at once on Ctrl-C and SIGTERM within the block, which imports what takes seconds.

    An exception within an import would be reported as a failure of that import.
    """
    endings = {signal.SIGINT: _end_interrupted, signal.SIGTERM: _end_terminated}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = {number: end for number, end in endings.items() if callable(signal.getsignal(number))}
    before = {number: signal.signal(number, end) for number, end in ended.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_interrupted(*_: Any) -> NoReturn:
    os.write(2, b"foveate: interrupted\n")
    os._exit(INTERRUPTED)


def _end_terminated(*_: Any) -> NoReturn:
    os.write(2, b"foveate: terminated\n")
    os._exit(TERMINATED)


def escape_unencodable() -> None:
    """Let the standard streams escape the characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_error(words: object) -> None:
    """Print `words` on standard error, after the name of the command; a closed stream is ignored."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"foveate: {printable(str(words))}", file=sys.stderr)


def describe_os_error(error: OSError) -> str:
    """Describe what the system refused, with the path; an error without one may be standard output's."""
    words = error.strerror or str(error)
    if error.filename is None:
        return f"cannot write to standard output: {words}" if _fails(sys.stdout) else words
    name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    return f"{words}: {name if len(name) < 500 else name[:500] + '…'}"


def is_wrong_request(error: OSError) -> bool:
    """Return whether the request is wrong: its path is too long, leads nowhere, or may not be read."""
    return error.filename is not None and error.errno in WRONG_PATH


def flush_streams(status: int) -> int:
    """Flush the standard streams and return the exit status: `status`, or 1 if they cannot be written.

    A reader that has gone (`| head`) is not reported. A stream that fails is redirected to the null device,
    because Python would fail on it when it exits.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            if stream is sys.stdout and not isinstance(error, BrokenPipeError) and not status:
                print_error(f"cannot write to standard output: {error.strerror}")
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
