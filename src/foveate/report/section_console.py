"""A section of a report for a terminal: its findings and its first table."""

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from foveate.report.core.console import terminal_table
from foveate.report.sections import Examined

__all__ = ["section_console"]


def section_console(examined: Examined) -> Group:
    """Lay out the findings and the first table, which has the main results, to be printed with rich."""
    headline, *rest = examined.section.sentences
    tables = [
        terminal_table(
            [column.title for column in table.columns],
            table.rows,
            widths=(),
            wraps=True,
            title=table.caption,
        )
        for table in examined.section.tables[:1]
    ]
    laid_out = [Padding(table, (1, 0, 0, 0)) for table in tables]
    return Group(Text(headline, style="bold"), *map(Text, rest), *laid_out, Text())
