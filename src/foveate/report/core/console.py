"""The layout of tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table as RichTable
from rich.text import Text

from foveate.report.core.tables import Cell

__all__ = ["terminal_table"]


def terminal_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str | Cell | Text]],
    *,
    named: int = 1,
    widths: Sequence[int] = (10,),
    wraps: bool = False,
    gap: int = 1,
    title: str = "",
) -> RichTable:
    """Lay out a table, to be printed with rich; no text is taken for markup.

    Args:
        heads: the titles of the columns.
        rows: texts, or cells whose details stand below in dim letters; a short row leaves the rest empty.
        named: number of leading columns of names, which are left-aligned, and folded where too long.
        widths: the minimum widths of the columns of names, where these are given.
        wraps: whether the other columns may break their lines, too.
        gap: spaces between two columns.
        title: stands above the table.
    """
    table = RichTable(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, gap, 0, 0),
    )
    for place, head in enumerate(heads):
        is_name = place < named
        table.add_column(
            Text(head),
            justify="left" if is_name else "right",
            no_wrap=not (is_name or wraps),
            overflow="fold" if is_name or wraps else "ellipsis",
            min_width=widths[place] if is_name and place < len(widths) else None,
        )
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _text(cell: str | Cell | Text) -> Text:
    if isinstance(cell, Text):
        return cell
    main, detail = cell if isinstance(cell, Cell) else (cell, "")
    return Text.assemble(main, ("\n" + detail, "dim") if detail else "")
