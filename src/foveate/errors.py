"""The two ways in which a command ends badly, and words for what others raise and for unknown names."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = [
    "DiskError",
    "ImagesChangedError",
    "RequestError",
    "WorkError",
    "WorkersLostError",
    "answering_a_command",
    "check_at_least",
    "first_line",
    "remedy",
    "shortened",
    "unknown_name",
]


class RequestError(ValueError):
    """The request was wrong: nothing was started that it could harm. The command exits with status 2."""


class WorkError(RuntimeError):
    """The request was right and the work failed; what was finished is kept. Exit status 1."""


class DiskError(WorkError):
    """A file could not be written, so nothing further can be recorded; what was finished is kept."""


class WorkersLostError(WorkError):
    """A worker process ended without a word, and what it did is not done; what was finished is kept."""


class ImagesChangedError(WorkError):
    """Images were changed or taken away while a study was at work on them; what was finished is kept."""


_answers_a_command = ContextVar("answers_a_command", default=False)


@contextmanager
def answering_a_command() -> Iterator[None]:
    """Let errors that are raised meanwhile propose what a person can type as a command, and no Python."""
    token = _answers_a_command.set(True)
    try:
        yield
    finally:
        _answers_a_command.reset(token)


def remedy(*, python: str, command: str) -> str:
    """Return the remedy that fits whoever asked: a caller of functions, or a person at a command line."""
    return command if _answers_a_command.get() else python


def first_line(error: BaseException) -> str:
    """Give what happened in a line: of wrapped errors the innermost says it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def shortened(names: Iterable[object], at_most: int = 4) -> str:
    """List the first of `names`, with "…" for the rest."""
    names = list(names)
    return ", ".join(map(str, names[:at_most])) + ", …" * (len(names) > at_most)


def check_at_least(settings: object, **least: int) -> None:
    """Raise RequestError for an attribute of `settings` that is no whole number of at least `least`.

    An attribute that is None is not given, and passes. The message names the attribute as a flag.
    """
    for name, smallest in least.items():
        value = getattr(settings, name)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_whole and value >= smallest):
            flag = f"--{name.replace('_', '-')}"
            raise RequestError(f"{flag} must be a whole number of at least {smallest}, got {value!r}")


def unknown_name(kind: str, given: str, choices: Iterable[str], *, show: int = 20) -> str:
    """Say that `given` is no `kind`, name the nearest of `choices`, and list them where they are few."""
    choices = sorted(choices)
    near = difflib.get_close_matches(given, choices, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    listed = f" Choices: {', '.join(choices)}." if len(choices) <= show else ""
    return f"unknown {kind} {given!r}.{hint}{listed}"
