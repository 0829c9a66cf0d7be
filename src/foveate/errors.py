"""Errors with their exit statuses, and the parts that error messages share."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = [
    "DiskError",
    "ImagesChangedError",
    "NotFiniteError",
    "RequestError",
    "WorkError",
    "WorkersLostError",
    "answering_a_command",
    "check_at_least",
    "first_line",
    "in_words",
    "remedy",
    "shortened",
    "unknown_name",
]


class RequestError(ValueError):
    """The request is wrong, and no work was started. The command exits with status 2."""


class WorkError(RuntimeError):
    """The work failed although the request is valid. Finished work is kept. Exit status 1."""


class DiskError(WorkError):
    """A file could not be written, so no further result can be recorded. Finished work is kept."""


class NotFiniteError(WorkError):
    """A training reached a loss that is not a finite number: with the same recipe it will do so again."""


class WorkersLostError(WorkError):
    """A worker process ended without an error, and its work is lost. Finished work is kept."""


class ImagesChangedError(WorkError):
    """Images were changed or removed while a study used them. Finished work is kept."""


_answers_a_command = ContextVar("answers_a_command", default=False)


@contextmanager
def answering_a_command() -> Iterator[None]:
    """Make errors raised within the block suggest command-line flags instead of Python code."""
    token = _answers_a_command.set(True)
    try:
        yield
    finally:
        _answers_a_command.reset(token)


def remedy(*, python: str, command: str) -> str:
    """Return `command` within `answering_a_command`, and `python` for a caller of functions."""
    return command if _answers_a_command.get() else python


def first_line(error: BaseException) -> str:
    """Return the first line of the innermost wrapped error, or the name of its type."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def shortened(names: Iterable[object], at_most: int = 4) -> str:
    """Join the first of `names` with commas, with "…" for the rest."""
    names = list(names)
    return ", ".join(map(str, names[:at_most])) + ", …" * (len(names) > at_most)


def check_at_least(settings: object, **least: int) -> None:
    """Raise RequestError if an attribute of `settings` is not a whole number of at least its minimum.

    An attribute that is None was not given and passes. The message names the attribute as a flag.
    """
    for name, smallest in least.items():
        value = getattr(settings, name)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_whole and value >= smallest):
            flag = f"--{name.replace('_', '-')}"
            raise RequestError(f"{flag} must be a whole number of at least {smallest}, got {value!r}")


def in_words(error: BaseException) -> str:
    """Return the type of an unexpected error, and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"


def unknown_name(kind: str, given: str, choices: Iterable[str], *, show: int = 20) -> str:
    """Return a message on an unknown name: the nearest of `choices`, and all of them if they are few."""
    choices = sorted(choices)
    near = difflib.get_close_matches(given, choices, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    listed = f" Choices: {', '.join(choices)}." if len(choices) <= show else ""
    return f"unknown {kind} {given!r}.{hint}{listed}"
