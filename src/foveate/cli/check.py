"""The command that checks an attention module, whoever wrote it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated

from cyclopts import Parameter

from foveate.cli.flags import SETTINGS, Json
from foveate.cli.output import console_beside, write_json_to
from foveate.cli.process import loading
from foveate.errors import WorkError
from foveate.inspection.check.like.builtins import COMPARABLE, check_builtin
from foveate.inspection.check.settings import CheckSettings, read_module
from foveate.studies.spec import completers
from foveate.studies.spec.completers import one_of

__all__ = ["check"]


def check(
    module: Annotated[
        str,
        Parameter(
            completer=completers.mechanism,
            help="Module to check: mine.py:MyAttention, package.module:MyAttention or a mechanism, its "
            "options in parentheses.",
        ),
    ],
    /,
    *,
    settings: Annotated[CheckSettings, SETTINGS] = CheckSettings(),
    like: Annotated[
        str | None,
        Parameter(
            completer=one_of(COMPARABLE),
            help="Built-in to compare with: the same function, or known differences. By default the promises "
            "are checked.",
        ),
    ] = None,
    json: Json = None,
) -> int:
    """Check that a module keeps every promise of foveate's mechanisms, or compare it with a built-in.

    Each promise is kept, broken (with the smallest input found that breaks it, what came out, and the cause
    where it is known) or not applicable. The exit status is 1 if a promise is broken that training or
    shipping needs; with --like, if the two are not the same function.
    """
    settings.check()
    candidate = read_module(module)
    builtin = None if like is None else read_module(like)
    if builtin is not None:
        check_builtin(builtin.name)
    console = console_beside(json, wide=True)
    with loading():
        from foveate.cli.bar import shown_on
        from foveate.inspection.check.engine import check as check_promises
        from foveate.inspection.check.like.engine import compare_with
        from foveate.inspection.check.subject import factory_of
        from foveate.report.check.console import check_console, like_console
        from foveate.studies.engine.fitting import Machine

    factory = factory_of(candidate.mechanism, **candidate.options)
    if builtin is not None:
        with _running(candidate.label):
            compared = compare_with(
                factory, candidate.label, builtin.name, builtin.options, settings.channels[0]
            )
        console.print(like_console(compared))
        write_json_to(compared.to_json(), json)
        return int(not compared.is_same)
    with _running(candidate.label), shown_on(console) as on_progress:
        record = check_promises(
            factory,
            candidate.label,
            settings.channels,
            only=settings.only,
            device=Machine(settings.device).torch_device,
            on_progress=on_progress,
        )
    console.print(check_console(record))
    write_json_to(record.to_json(), json)
    return int(bool(record.fatal))


@contextmanager
def _running(label: str) -> Iterator[None]:
    """Let a module run: what it prints goes to standard error, and it cannot end the program."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as error:
        raise WorkError(
            f"{label} ends the program that runs it (SystemExit: {error}): remove that"
        ) from error
