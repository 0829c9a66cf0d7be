"""A section of a report for a terminal: its findings and its first table."""

from rich.console import Group
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from foveate.report.core.tables import Cell, Table
from foveate.report.sections import Examined

__all__ = ["section_console"]


def section_console(examined: Examined) -> Group:
    """Lay out the findings and the first table, which has the gist, to be printed with rich."""
    section = examined.section
    tables = [Padding(_table(table), (1, 0, 0, 0)) for table in section.tables[:1]]
    lines = [Text(sentence) for sentence in section.sentences[1:]]
    return Group(Text(section.sentences[0], style="bold"), *lines, *tables, Text())


def _table(table: Table) -> RichTable:
    laid = RichTable(
        title=table.caption,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 1, 0, 0),
    )
    for number, column in enumerate(table.columns):
        laid.add_column(column.title, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        laid.add_row(*map(_cell, row))
    return laid


def _cell(cell: Cell) -> Text:
    detail = ("\n" + cell.detail, "dim") if cell.detail else ""
    return Text.assemble(cell.main, detail)
