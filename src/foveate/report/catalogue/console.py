"""The catalogue of mechanisms as tables for a terminal."""

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from foveate.notation import listing, magnitude, signed_percent
from foveate.records.catalogue import Catalogue, ListedMechanism

__all__ = ["catalogue_table"]


def catalogue_table(described: Catalogue) -> Group:
    """Lay out a catalogue for a terminal of 100 columns: the mechanisms, then their papers."""
    table = _table("mechanism", "place")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("multiply-adds", justify="right", no_wrap=True)
    table.add_column("options")
    for row in described.mechanisms:
        table.add_row(
            row.name,
            _place(row),
            _increase(row.parameters_added, row.parameters_increase_percent),
            _increase(row.macs_added, row.macs_increase_percent),
            Text(", ".join(f"{name}={value}" for name, value in row.options.items())),
        )
    papers: dict[str, list[str]] = {}
    for row in described.mechanisms:
        papers.setdefault(row.paper, []).append(row.name)
    sources = _table("paper", "mechanism")
    for paper, names in sorted(papers.items()):
        sources.add_row(Text(paper), listing(names))
    size = described.image_size
    head = (
        f"What each adds to a {described.backbone} of {magnitude(described.parameters)} parameters and "
        f"{magnitude(described.macs)} multiply-adds at {size}×{size} pixels, at its default place:"
    )
    return Group(Text(head), Padding(table, (1, 0)), sources)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, no_wrap=True)
    return table


def _increase(added: int, percent: float) -> str:
    """Write an added number and its share; shares take 9 columns, so that they are aligned."""
    share = "" if not added else "< 0.01 %" if percent < 0.005 else signed_percent(percent)
    return f"{magnitude(added)} {share:>9}"


def _place(row: ListedMechanism) -> str:
    """Write the default place of a mechanism: "block", "stage 4", "stages 1–3", "stages 2 and 4"."""
    stages = row.stages
    if stages is None:
        return str(row.where)
    several = len(stages) > 1
    run = several and list(stages) == list(range(stages[0], stages[-1] + 1))
    numbers = f"{stages[0]}–{stages[-1]}" if run else listing([str(stage) for stage in stages])
    prefix = "" if row.where == "stage" else "block, "
    return f"{prefix}stage{'s' * several} {numbers}"
