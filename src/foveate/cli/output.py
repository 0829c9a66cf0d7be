"""What every command prints, for people and as JSON."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foveate.errors import DiskError, RequestError
from foveate.files import find_obstacle, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from foveate.report.study.summary import Summary

__all__ = ["console_beside", "finish", "print_page", "write_json_to"]


WIDE = 100
"""Columns for wide tables in a log or a pipe."""


def console_beside(json_path: Path | None, *, wide: bool = False) -> "Console":
    """Return the console for people: standard output, or standard error where JSON goes to standard output.

    Where it is no terminal, a `wide` one has `WIDE` columns.

    Raises:
        RequestError: the file of `json_path` cannot be written; this is checked before any work is done.
    """
    from foveate.cli.console import PrintableConsole

    if json_path is not None and json_path != Path("-"):
        _refuse_unwritable(json_path)
    console = PrintableConsole(stderr=json_path == Path("-"))
    if wide and not console.is_terminal:
        console.width = WIDE
    return console


def _refuse_unwritable(json_path: Path) -> None:
    if json_path.is_dir():
        raise RequestError(f"--json {json_path} is a folder: give the path of a file")
    there = None if json_path.exists() else find_obstacle(json_path.absolute().parent)
    if there:
        raise RequestError(f"--json {json_path}: {there} is no folder that can be written to. Give another")


def finish(summary: "Summary", json_path: Path | None, console: "Console") -> int:
    """Print the table and the verdict of a study; return the exit status, 1 where runs are missing."""
    from foveate.report.study.console import console_table

    console.print(console_table(summary))
    print_page(summary.report, console)
    write_json_to(summary.to_json(), json_path)
    return int(bool(summary.missing))


def print_page(page: Path, console: "Console") -> None:
    """Print where a page lies. That of a study behind a URL is copied there; its local copy is named too."""
    from foveate.storage.opening import find_mirror, publish, shown_place

    study = page.parent.parent
    if find_mirror(study) is None:
        console.print(f"Report: {page}", soft_wrap=True)
        return
    try:
        publish(study)
    except DiskError as error:  # of someone who may only read
        console.print(f"Report: {page}\nIt stays on this machine: {error}", soft_wrap=True)
    else:
        console.print(f"Report: {shown_place(page)}\nOn this machine: {page}", soft_wrap=True)


def write_json_to(summary: Mapping[str, object], json_path: Path | None) -> None:
    """Write `summary` to the file that --json names, or to standard output."""
    if json_path == Path("-"):
        if sys.stdout is None:
            raise DiskError("cannot write to standard output: it is closed. Give --json FILE")
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        print(text.encode(errors="backslashreplace").decode())
    elif json_path is not None:
        write_json(json_path, summary)
