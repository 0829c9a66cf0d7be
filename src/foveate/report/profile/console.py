"""A profile for a terminal of 100 columns."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from foveate.notation import magnitude
from foveate.records.labels import display_name
from foveate.records.profile import ProfileRecord
from foveate.report.core.tables import Table
from foveate.report.profile.tables import (
    energy_table,
    latency_table,
    parts_table,
    runtime_table,
    work_table,
)
from foveate.report.profile.words import (
    byte_size,
    conditions,
    energy_note,
    headline,
    kernel_path_line,
    proposals_note,
    roofline_lines,
    runtime_note,
)

__all__ = ["profile_console"]

LONGEST_NAME = 24
"""Longer names of mechanisms with their options are folded."""


def profile_console(record: ProfileRecord) -> Group:
    """Lay out a profile, to be printed with rich."""
    lines: list[RenderableType] = [
        Text(headline(record), style="bold"),
        Text(conditions(record)),
        _laid_out(latency_table(record)),
    ]
    if note := proposals_note(record):
        lines.append(Text(note))
    for warning in record.warnings:
        who = f"{display_name(warning.attention)}: " if warning.attention else ""
        lines.append(Text(f"? {who}{warning.text}.", style="yellow"))
    if kernel_path_line(record):
        lines.append(Text(kernel_path_line(record)))
    runtimes = runtime_table(record)
    if runtimes:
        lines += [Text(f"\nAs deployed. {runtime_note(record)}"), _laid_out(runtimes)]
    if note := energy_note(record):
        lines.append(Text(f"\n{note}"))
    energy = energy_table(record)
    if energy:
        lines.append(_laid_out(energy))
    lines.append(_laid_out(work_table(record)))
    rooflines = roofline_lines(record)
    if rooflines:
        bounds = record.machine
        machine = f"{byte_size(bounds.bandwidth)}/s and {magnitude(bounds.flops)}FLOP/s"
        lines.append(Text(f"\nAdded time against the machine's bounds, measured as {machine}:"))
        lines += [Padding(Text(f"{line}."), (0, 0, 0, 2)) for line in rooflines]
    parts = parts_table(record)
    if parts:
        lines += [
            Text("\nWhere the time goes, in the parts as written, run eagerly:"),
            _laid_out(parts),
        ]
    return Group(*lines, "")


def _laid_out(table: Table) -> Padding:
    columns = _written(table)
    laid_out = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for index, column in enumerate(table.columns):
        named = index == 0 or column.title == "Part"
        longest = max(len(cell) for cell in columns[index])
        laid_out.add_column(
            _head(column.title, longest),
            justify="left" if named else "right",
            vertical="bottom",
            no_wrap=index > 0,
            overflow="fold",
            min_width=min(max(longest, len(column.title)), LONGEST_NAME) if index == 0 else None,
        )
    for row in zip(*columns, strict=True):
        laid_out.add_row(*map(Text, row))
    return Padding(laid_out, (1, 0, 0, 0))


def _written(table: Table) -> list[list[str]]:
    """Return the cells by column, each with its detail; the names of mechanisms have none."""
    columns = []
    for index in range(len(table.columns)):
        cells = [row[index] for row in table.rows]
        width = max(len(cell.detail) for cell in cells) if index else 0
        columns.append([f"{cell.main} {cell.detail:>{width}}" if width else cell.main for cell in cells])
    return columns


def _head(title: str, width: int) -> str:
    """Break a heading that is wider than its column at its last space."""
    text = title[:1].lower() + title[1:]
    first, _, last = text.rpartition(" ")
    return f"{first}\n{last}" if first and len(text) > width + 1 and len(text) > 8 else text
