"""The verdict and the tables of a study for a terminal, readable at 80 columns."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from foveate.notation import decimals, p_value, signed_percent
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.console import terminal_table
from foveate.report.core.notation import group_name, score
from foveate.report.study.claims import claims, conditions
from foveate.report.study.contrasts import gain_cell
from foveate.report.study.start import start_sentences
from foveate.report.study.summary import Summary
from foveate.report.study.tables import family_sentence, latency_change
from foveate.report.study.tuning import tuning_cautions, tuning_sentences
from foveate.report.study.undertraining import guessing_sentence

__all__ = ["console_table"]


def console_table(summary: Summary) -> Group:
    """Lay out the verdict and the table of candidates, to be printed with rich."""
    headline, *rest = summary.verdict
    printed = [*conditions(summary), *claims(summary)] if summary.against else []
    tuned = [*tuning_sentences(summary), *tuning_cautions(summary)]
    parts: list[RenderableType] = [Padding(_rows(summary), (1, 0))]
    if summary.study.design.contrasts:
        parts.append(Padding(_contrasts(summary), (0, 0, 1, 0)))
    below = [guessing_sentence(summary), family_sentence(summary) if summary.comparisons else ""]
    parts += [Text(sentence, style="dim") for sentence in below if sentence]
    lines = map(
        Text, [*rest, *start_sentences(summary.study), *tuned, *printed, *summary.devices, *summary.missing]
    )
    return Group(Text(headline, style="bold"), *lines, *parts)


def _rows(summary: Summary) -> Table:
    metric = summary.metric
    heads = ("mechanism", metric.lower_heading, "gain", "adj. p", "params", "mult-adds", "latency, ms", "")
    rows = []
    for row in summary.rows:
        test, price = summary.against_baseline.get(row.attention), row.price
        changes = (price.parameters_increase_percent, price.macs_increase_percent)
        rows.append(
            (
                display_name(row.attention),
                score(row.scores[metric.name], metric),
                gain_cell(summary, test).main if test else "",
                p_value(test.p_adjusted) if test else "",
                *("" if row.attention == BASELINE else signed_percent(change) for change in changes),
                decimals(price.latency_ms_p50, 2),
                latency_change(row, summary),
            )
        )
    return terminal_table(heads, rows)


def _contrasts(summary: Summary) -> Table:
    heads = ("comparison", "gain", "95 % interval", "adj. p", "params")
    return terminal_table(heads, _contrast_rows(summary), widths=(20,))


def _contrast_rows(summary: Summary) -> Iterator[tuple[str | Text, ...]]:
    """Give a row for each planned comparison, and before those of each group a row with its name."""
    parameters = {row.attention: row.price.parameters for row in summary.rows}
    group = None
    for test in summary.comparisons:
        if test.group != group:
            group = test.group
            yield (Text(group_name(group) if group else "", style="dim"),)
        before, after = parameters[test.a], parameters[test.b]
        gain = gain_cell(summary, test)
        yield (
            f"  {test.title}",
            gain.main,
            gain.detail,
            p_value(test.p_adjusted),
            signed_percent(100 * (after / before - 1)) if before and after else "",
        )
