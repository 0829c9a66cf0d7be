"""The table and the verdict for a terminal, readable at 80 columns."""

from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import decimals, interval, p_value, points, signed_percent, spread
from foveate.report.study.claims import claims, conditions
from foveate.report.study.tables import latency_change

__all__ = ["console_table"]


def console_table(summary: dict[str, Any]) -> Group:
    """Lay out the verdict and the table of mechanisms, to be printed with rich."""
    to_plain = {test["b"]: test for test in summary["tests"] if test["a"] == BASELINE}
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("mechanism", overflow="fold", min_width=10)
    for head in ("accuracy, %", "gain", "adj. p", "params", "mult-adds", "latency, ms", ""):
        table.add_column(head, justify="right", no_wrap=True)
    for row in summary["rows"]:
        test = to_plain.get(row["attention"])
        plain = row["attention"] == BASELINE
        table.add_row(
            Text(display_name(row["attention"])),
            spread(row["accuracy"], 2, scale=100),
            points(test["difference"]) if test else "",
            p_value(test["p_adjusted"]) if test else "",
            "" if plain else signed_percent(row["parameters_increase_percent"]),
            "" if plain else signed_percent(row["macs_increase_percent"]),
            decimals(row["latency_ms_p50"], 2),
            latency_change(row, summary["study"]),
        )
    headline, *rest = summary["verdict"]
    theirs = [*conditions(summary), *claims(summary)] if "against" in summary else []
    lines = [Text(sentence) for sentence in [*rest, *theirs, *summary["missing"]]]
    parts = [Padding(table, (1, 0))]
    if summary["study"]["design"]["contrasts"]:
        parts.append(Padding(_contrasts(summary), (0, 0, 1, 0)))
    return Group(Text(headline, style="bold"), *lines, *parts)


def _contrasts(summary: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("comparison", overflow="fold", min_width=20)
    for head in ("gain", "95 % interval", "adj. p", "params"):
        table.add_column(head, justify="right", no_wrap=True)
    rows = {row["attention"]: row for row in summary["rows"]}
    group = ""
    for test in summary["tests"]:
        if test["group"] != group:
            group = test["group"]
            table.add_row(Text(group, style="dim"))
        before, after = rows[test["a"]]["parameters"], rows[test["b"]]["parameters"]
        table.add_row(
            Text(f"  {test['title']}"),
            points(test["difference"]),
            interval(test["ci95"], 2, scale=100),
            p_value(test["p_adjusted"]),
            signed_percent(100 * (after / before - 1)) if before and after else "",
        )
    return table
