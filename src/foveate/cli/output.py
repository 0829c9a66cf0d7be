"""What every command prints, for people and as JSON."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from foveate.errors import DiskError, RequestError
from foveate.files import find_obstacle, write_json
from foveate.names import printable

__all__ = ["console_beside", "finish", "write_json_to"]


WIDE = 100
"""Columns of a log or a pipe, for what has wide tables."""


class _PrintableConsole(Console):
    """A console that writes names from folders and files out, so that none of them commands the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with every text `printable`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def console_beside(json_: Path | None, *, wide: bool = False) -> Console:
    """Where people read: standard output, unless that is to carry JSON; `wide` where it is no terminal.

    Raises RequestError, before any work is done, where the file of `json_` cannot be written.
    """
    if json_ is not None and json_ != Path("-"):
        _refuse_unwritable(json_)
    console = _PrintableConsole(stderr=json_ == Path("-"), highlight=False)
    if wide and not console.is_terminal:
        console.width = WIDE
    return console


def _refuse_unwritable(json_: Path) -> None:
    if json_.is_dir():
        raise RequestError(f"--json {json_} is a folder: give the path of a file")
    there = None if json_.exists() else find_obstacle(json_.absolute().parent)
    if there:
        raise RequestError(f"--json {json_}: {there} is no folder that can be written to. Give another")


def finish(summary: dict[str, Any], json_: Path | None, console: Console) -> None:
    """Print the table and the verdict of a study; what is missing of it makes the exit status 1."""
    from foveate.report.study.console import console_table

    console.print(console_table(summary))
    console.print(f"Report: {summary['report']}", soft_wrap=True, markup=False)
    write_json_to(summary, json_)
    if summary["missing"]:
        raise typer.Exit(1)


def write_json_to(summary: dict[str, Any], json_: Path | None) -> None:
    """Write what `--json` asked for: into a file, or to standard output."""
    if json_ == Path("-"):
        if sys.stdout is None:
            raise DiskError("cannot write to standard output: it is closed. Give --json FILE")
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        print(text.encode(errors="backslashreplace").decode())
    elif json_ is not None:
        write_json(json_, summary)
