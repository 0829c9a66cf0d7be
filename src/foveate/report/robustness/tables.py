"""The tables of the robustness section: mechanisms, corruptions, attacks."""

from foveate.notation import NOTHING, count, decimals
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.report.core.notation import deviation, score, spread
from foveate.report.core.outcomes import outcome_cell
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.robustness.names import attack_name, corruption_name
from foveate.report.robustness.summary import (
    BaselineTest,
    CorruptionSummary,
    MechanismSummary,
    RobustnessSummary,
)

__all__ = ["robustness_tables"]


def robustness_tables(summary: RobustnessSummary) -> list[Table]:
    """Make the tables for which there are numbers."""
    made = []
    if summary.corruptions:
        made += [_mechanisms(summary), _corruptions(summary)]
    if summary.corruptions and summary.others:
        made.append(_others(summary))
    if summary.attacks:
        made.append(_attacks(summary))
    return made


def _mechanisms(summary: RobustnessSummary) -> Table:
    over, metric, beside = count(len(summary.averaged), "corruption"), summary.metric, summary.beside
    tests = {test.label: test for test in summary.tests}
    is_named = summary.standard and not summary.has_errors
    columns = [
        Column("Mechanism"),
        Column(
            metric.heading_on("Clean"),
            "On the same images as they are, mean ± standard deviation over seeds.",
        ),
        Column(
            "mPC, %" if is_named else metric.heading_on("Corrupted"),
            ("Mean performance under corruption: the mean " if is_named else "Mean ")
            + f"{'' if summary.has_errors else f'{metric.noun} '}over severities and {over}; below, the 95 % "
            "interval of the mean over seeds.",
        ),
        Column(
            metric.heading_of_difference("Difference"),
            f"In corrupted {metric.noun} to the baseline, by seed; below, its 95 % interval.",
        ),
        Column("Adjusted p", "Paired t-test of that difference, adjusted for the mechanisms (Holm)."),
        *(_error_columns(summary, over) if summary.has_errors else _kept_columns(summary)),
        Column(
            beside.heading,
            f"{'ECE' if beside.name == 'ece' else 'Mean'} on corrupted images; below, on clean ones.",
        ),
    ]
    rows = [_mechanism(row, tests.get(row.attention), summary) for row in summary.rows]
    return Table("robustness", f"{metric.title} on corrupted images", columns, rows)


def _error_columns(summary: RobustnessSummary, over: str) -> list[Column]:
    return [
        Column(
            "mCE, %" if summary.standard else "Error relative to the baseline, %",
            f"Mean over {over} of the error over the baseline's of the same seed; under 100 is better.",
        ),
        Column(
            "Relative mCE, %" if summary.standard else "Loss relative to the baseline, %",
            "The same ratio of the accuracy that is lost from clean to corrupted images.",
        ),
    ]


def _kept_columns(summary: RobustnessSummary) -> list[Column]:
    noun = summary.metric.noun
    if not summary.standard:
        return [Column("Kept, %", f"Corrupted {noun} as a share of the clean one; below, ± over seeds.")]
    note = f"Relative performance under corruption: mPC as a share of the clean {noun}; below, ± over seeds."
    return [Column("rPC, %", note)]


def _mechanism(row: MechanismSummary, test: BaselineTest | None, summary: RobustnessSummary) -> list[Cell]:
    metric, beside = summary.metric, summary.beside
    ratios = [row.mce, row.relative_mce] if summary.has_errors else [row.rpc]
    return [
        Cell(display_name(row.attention), count(row.runs, "network")),
        Cell(score(row.clean, metric)),
        Cell(score(row.corrupted, metric), metric.write_interval(row.corrupted.ci95)),
        _difference(test, metric),
        Cell(NOTHING) if test is None else outcome_cell(test.test, test.p_adjusted, test.outcome),
        *(Cell(decimals(one.mean, 1, scale=100), deviation(one, 1, scale=100)) for one in ratios),
        Cell(beside.write(row.beside.mean), beside.write(row.clean_beside.mean)),
    ]


def _others(summary: RobustnessSummary) -> Table:
    """Write every further share that the images have something to measure it on; a loss is in the CSV."""
    found = {(row.metric, row.attention): row for row in summary.others if not row.clean.is_empty}
    named = {name for name, _ in found}
    metrics = [one for one in summary.task.metrics if one.name in named and one.unit == "percent"]
    columns = [
        Column("Mechanism", "Each metric is a mean on corrupted images; below, on clean ones; ± over seeds."),
        *(Column(one.heading, one.note) for one in metrics),
    ]
    cells = [
        [
            Cell(display_name(label)),
            *(
                Cell(score(row.corrupted, one), score(row.clean, one))
                if (row := found.get((one.name, label)))
                else Cell(NOTHING)
                for one in metrics
            ),
        ]
        for label in summary.labels
    ]
    return Table("robustness_metrics", "Other metrics on corrupted images", columns, cells)


def _corruptions(summary: RobustnessSummary) -> Table:
    rows, metric = {(row.corruption, row.attention): row for row in summary.by_corruption}, summary.metric
    unit = metric.unit_of_differences
    below = (
        f"Below, the difference to the baseline{f' in {unit}' if unit else ''}; * marks a significant one."
    )
    columns = [
        Column("Corruption"),
        *(
            Column(
                f"{display_name(label)}, %",
                f"Mean {metric.noun} over severities." if label == BASELINE else below,
            )
            for label in summary.labels
        ),
    ]
    cells = [
        [Cell(corruption_name(name)), *(_score(rows[name, label], metric) for label in summary.labels)]
        for name in summary.corruptions
    ]
    return Table("robustness_corruptions", f"{metric.title} by corruption", columns, cells)


def _attacks(summary: RobustnessSummary) -> Table:
    places = list(dict.fromkeys((row.attack, row.eps) for row in summary.attacks))
    found = {(row.attack, row.eps, row.attention): row for row in summary.attacks}
    images = max(row.images for row in summary.attacks)
    columns = [
        Column("Mechanism"),
        *(
            Column(
                "Clean, %" if eps is None else f"{attack_name(name)}, ε = {eps:g}/255, %",
                f"Accuracy on {count(images, 'image')} a network, mean ± standard deviation over seeds.",
            )
            for name, eps in places
        ),
    ]
    cells = [
        [
            Cell(display_name(label)),
            *(
                Cell(spread(row.accuracy, 1, scale=100))
                if (row := found.get((*place, label)))
                else Cell(NOTHING)
                for place in places
            ),
        ]
        for label in summary.labels
    ]
    return Table("robustness_attacks", "Accuracy under attack", columns, cells)


def _difference(test: BaselineTest | None, metric: Metric) -> Cell:
    if test is None or test.test.difference is None:
        return Cell(NOTHING)
    return Cell(metric.write_difference(test.test.difference), metric.write_interval(test.test.ci95))


def _score(row: CorruptionSummary, metric: Metric) -> Cell:
    main = metric.write(row.score.mean)
    if row.test is None or row.test.test.difference is None:
        return Cell(main)
    return Cell(main, metric.write_difference(row.test.test.difference) + "*" * row.test.is_significant)
