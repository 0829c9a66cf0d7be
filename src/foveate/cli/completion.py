"""The command that writes what a shell needs to complete commands, flags, and the names that flags take."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import App, Parameter

from foveate.errors import RequestError, unknown_name
from foveate.files import write_text
from foveate.studies.spec.completers import one_of
from foveate.studies.spec.flag_groups import OUTPUT

__all__ = ["completion_of", "make_completion"]

Shell = Literal["bash", "zsh", "fish"]

QUOTED = """printf -v _q '%q' "$_x";"""
KEEP_COMMAS = r""" _q="${_q//\\,/,}";"""
NO_SPACE = r"""  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[/=] ]] && compopt -o nospace 2>/dev/null
  return 0
"""


def make_completion(app: App) -> Callable[..., int]:
    """Return the command that writes the completion script of `app`."""

    def completion(
        shell: Annotated[str, Parameter(completer=one_of(get_args(Shell)), help="Shell: bash, zsh or fish.")],
        /,
        *,
        out: Annotated[
            Path | None, Parameter(group=OUTPUT, help="File to write; by default standard output.")
        ] = None,
    ) -> int:
        """Write the script by which a shell completes commands, flags and names.

        Mechanisms, backbones, recipes and data sets are completed as values of the flags that take them.
        """
        known: Shell | None = next((one for one in get_args(Shell) if one == shell), None)
        if known is None:
            raise RequestError(unknown_name("shell", shell, get_args(Shell)))
        script = completion_of(app, known)
        if out is None:
            print(script, end="")
        else:
            write_text(out, script)
        return 0

    return completion


def completion_of(app: App, shell: Shell) -> str:
    """Return the completion script of `app` for `shell`."""
    script = app.generate_completion(shell=shell)
    return _for_lists(script) if shell == "bash" else script


def _for_lists(script: str) -> str:
    """Let bash insert commas as they are, and no space after what is to be continued: a folder, KEY=.

    A list is completed item by item, and the next call would see the backslash before each comma.
    """
    body, end = script.replace(QUOTED, QUOTED + KEEP_COMMAS).rsplit("}", 1)
    return f"{body}{NO_SPACE}}}{end}"
