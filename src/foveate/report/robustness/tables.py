"""The tables of the robustness section: mechanisms, corruptions, attacks."""

from foveate.notation import NOTHING, count, decimals, interval
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import deviation, points, spread
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
    if summary.attacks:
        made.append(_attacks(summary))
    return made


def _mechanisms(summary: RobustnessSummary) -> Table:
    over = count(len(summary.averaged), "corruption")
    tests = {test.label: test for test in summary.tests}
    columns = [
        Column("Mechanism"),
        Column("Clean accuracy, %", "On the same images as they are, mean ± standard deviation over seeds."),
        Column(
            "Corrupted accuracy, %",
            f"Mean over severities and {over}; below, the 95 % interval of the mean over seeds.",
        ),
        Column(
            "Difference, points", "In corrupted accuracy to the baseline, by seed; below, its 95 % interval."
        ),
        Column("Adjusted p", "Paired t-test of that difference, adjusted for the mechanisms (Holm)."),
        Column(
            "mCE, %" if summary.standard else "Error relative to the baseline, %",
            f"Mean over {over} of the error over the baseline's of the same seed; under 100 is better.",
        ),
        Column(
            "Relative mCE, %" if summary.standard else "Loss relative to the baseline, %",
            "The same ratio of the accuracy that is lost from clean to corrupted images.",
        ),
        Column("Calibration error, %", "ECE on corrupted images; below, on clean ones."),
    ]
    rows = [_mechanism(row, tests.get(row.attention)) for row in summary.rows]
    return Table("robustness", "Accuracy on corrupted images", columns, rows)


def _mechanism(row: MechanismSummary, test: BaselineTest | None) -> list[Cell]:
    return [
        Cell(display_name(row.attention), count(row.runs, "network")),
        Cell(spread(row.clean, 2, scale=100)),
        Cell(spread(row.corrupted, 2, scale=100), interval(row.corrupted.ci95, 2, scale=100)),
        _difference(test),
        Cell(NOTHING) if test is None else outcome_cell(test.test, test.p_adjusted, test.outcome),
        Cell(decimals(row.mce.mean, 1, scale=100), deviation(row.mce, 1, scale=100)),
        Cell(decimals(row.relative_mce.mean, 1, scale=100), deviation(row.relative_mce, 1, scale=100)),
        Cell(decimals(row.ece.mean, 2, scale=100), decimals(row.clean_ece.mean, 2, scale=100)),
    ]


def _corruptions(summary: RobustnessSummary) -> Table:
    rows = {(row.corruption, row.attention): row for row in summary.by_corruption}
    columns = [
        Column("Corruption"),
        *(
            Column(
                f"{display_name(label)}, %",
                "Mean accuracy over severities."
                if label == BASELINE
                else "Below, the difference to the baseline in points; * marks a significant one.",
            )
            for label in summary.labels
        ),
    ]
    cells = [
        [Cell(corruption_name(name)), *(_accuracy(rows[name, label]) for label in summary.labels)]
        for name in summary.corruptions
    ]
    return Table("robustness_corruptions", "Accuracy by corruption", columns, cells)


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


def _difference(test: BaselineTest | None) -> Cell:
    if test is None or test.test.difference is None:
        return Cell(NOTHING)
    return Cell(points(test.test.difference), interval(test.test.ci95, 2, scale=100))


def _accuracy(row: CorruptionSummary) -> Cell:
    main = decimals(row.accuracy.mean, 2, scale=100)
    if row.test is None or row.test.test.difference is None:
        return Cell(main)
    return Cell(main, points(row.test.test.difference) + "*" * row.test.is_significant)
