"""Tables that people read, once for the page, the terminal, Markdown and LaTeX."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Cell", "Column", "Table"]


class Cell(NamedTuple):
    """The text of a cell, and its detail in smaller letters: an interval, a change in per cent."""

    main: str
    detail: str = ""


class Column(NamedTuple):
    """The head of a column, and a note on how to read it, in one line; text is left-aligned and wraps."""

    title: str
    note: str = ""
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people: the first column names the row."""

    name: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
