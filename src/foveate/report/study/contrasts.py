"""The tables of a study with planned comparisons: parts of a mechanism, or values of its options."""

import math

from foveate.evaluation.comparisons import Comparison
from foveate.notation import NOTHING, count, decimals, magnitude, p_value, signed_percent
from foveate.records.design import Trial
from foveate.records.labels import display_name
from foveate.report.core.notation import contrast_name, pair_name, score
from foveate.report.core.outcomes import GAIN_OR_LOSS, outcome_cell
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.looks import adjustment
from foveate.report.study.summary import Summary

__all__ = ["contrasts_table", "gain_cell", "search_sentences", "search_table", "values_table"]

MEASURES = ("Parameters", "Multiply-adds", "Latency")
"""The heads of the columns of `Price.increases`."""
ENDS = {"complete": "", "pruned": "ended early", "failed": "failed"}


def contrasts_table(summary: Summary) -> Table | None:
    """Return one row per planned comparison, its gain and its price; None where none was planned."""
    if not summary.study.design.contrasts:
        return None
    metric, settings = summary.metric, summary.study.statistics
    prices = {row.attention: row.price for row in summary.rows}
    columns = [
        Column("Comparison", "Second minus first of the pair below."),
        Column(
            metric.heading_of_difference("Gain"),
            f"Mean {'difference' if metric.higher_is_better else 'decrease'} in test {metric.noun} by seed; "
            "below, its own 95 % interval.",
        ),
        Column(
            "Adjusted p",
            f"Paired test, adjusted for {count(summary.family, 'comparison')} "
            f"({adjustment(summary)}); under {settings.alpha:g} it is significant.",
        ),
        *(Column(title, "Change from the first to the second.") for title in MEASURES),
        Column(
            metric.heading_of_difference("Detectable"),
            "Smallest true difference that these seeds would likely show.",
        ),
    ]
    rows = []
    for test in summary.comparisons:
        increases = zip(prices[test.a].increases, prices[test.b].increases, strict=True)
        rows.append(
            [
                Cell(contrast_name(test), pair_name(test)),
                gain_cell(summary, test),
                outcome_cell(test.test, test.p_adjusted, test.outcome, GAIN_OR_LOSS),
                *(_change(before, after) for before, after in increases),
                Cell(metric.write_detectable(test.detectable_difference)),
            ]
        )
    return Table("contrasts", "Planned comparisons", columns, rows)


def values_table(summary: Summary) -> Table | None:
    """Return one row per value of a swept option; None where nothing was swept."""
    values, metric = summary.study.design.values, summary.metric
    if not values:
        return None
    rows = {row.attention: row for row in summary.rows}
    tests = {(test.group, test.b): test for test in summary.comparisons}
    columns = [
        Column("Option"),
        Column(metric.heading, "Mean ± standard deviation over seeds; below, the 95 % interval of the mean."),
        Column(
            metric.heading_of_difference("Gain"),
            "Over the mechanism as it is, matched by seed; below, its own 95 % interval.",
        ),
        Column("Adjusted p", "Paired test against the mechanism as it is, adjusted for all comparisons."),
        Column("Parameters"),
        Column("Multiply-adds", "Of one image."),
        Column("Latency p50, ms"),
    ]
    lines = []
    for value in values:
        row, test = rows.get(value.label), tests.get((value.option, value.label))
        if row is None:
            continue
        scores = row.scores[metric.name]
        lines.append(
            [
                Cell(f"{value.option} = {value.value}", "" if test else "as it is"),
                Cell(score(scores, metric), metric.write_interval(scores.ci95)),
                gain_cell(summary, test) if test else Cell(""),
                Cell(p_value(test.p_adjusted)) if test else Cell(""),
                Cell(magnitude(row.price.parameters)),
                Cell(magnitude(row.price.macs)),
                Cell(decimals(row.price.latency_ms_p50, 2)),
            ]
        )
    return Table("values", "Values of the options", columns, lines)


def search_table(summary: Summary) -> Table | None:
    """Return one row per trial of the search that came before the study, the best first; None without one."""
    search, metric = summary.study.design.search, summary.metric
    if search is None:
        return None

    def rank(trial: Trial) -> tuple[bool, float]:
        value = -math.inf if trial.accuracy is None else metric.sign * trial.accuracy
        return trial.state != "complete", -value

    columns = [
        Column("Trial"),
        *map(Column, search.trials[0].values),
        Column(metric.heading_on("Validation"), "Best of its epochs, on one seed; nothing was tested here."),
        Column("Epochs"),
    ]
    rows = [
        [
            Cell(str(trial.number), ENDS[trial.state]),
            *map(Cell, trial.values.values()),
            Cell(metric.write(trial.accuracy)),
            Cell(str(trial.epochs)),
        ]
        for trial in sorted(search.trials, key=rank)
    ]
    return Table("search", "Trials of the search", columns, rows)


def search_sentences(summary: Summary) -> list[str]:
    """Say what the search did, and which option mattered most in it; nothing without a search."""
    search = summary.study.design.search
    if search is None:
        return []
    early = sum(trial.state == "pruned" for trial in search.trials)
    sentences = [
        f"{count(len(search.trials), 'combination')} tried on seed {search.seed} by {search.engine}, {early} "
        "of them ended early. The validation part alone judged them; the test part was not read. Best: "
        f"{display_name(search.best)}. What is tested below was trained anew, on all seeds."
    ]
    if search.importance:
        shares = ", ".join(f"{option} {100 * share:.0f} %" for option, share in search.importance.items())
        sentences.append(
            f"Share of each option in the spread of this {summary.metric.noun} (fANOVA): {shares}."
        )
    return sentences


def gain_cell(summary: Summary, test: Comparison) -> Cell:
    """Return the mean gain of a comparison, and below it its own 95 % interval."""
    metric, bounds = summary.metric, test.test.ci95
    return Cell(metric.write_difference(test.gain), metric.write_interval(bounds and metric.gains(bounds)))


def _change(before: float | None, after: float | None) -> Cell:
    """Return the change between two candidates from their changes to the baseline.

    Latencies were measured side by side with the baseline, and so are compared through it.
    """
    if before is None or after is None:
        return Cell(NOTHING)
    return Cell(signed_percent(100 * ((100 + after) / (100 + before) - 1)))
