"""The tables of a transfer, for people and for CSV."""

from collections.abc import Iterator

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.significance import ALPHA
from foveate.notation import NOTHING, count, decimals, interval, p_value
from foveate.records.labels import display_name
from foveate.report.core.notation import deviation, points, spread
from foveate.report.core.outcomes import outcome_cell
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.transfer.summary import TransferSummary, WaySummary
from foveate.report.transfer.words import way_title

__all__ = ["transfer_numbers", "transfer_table"]


def transfer_table(summary: TransferSummary, stem: str) -> Table:
    """Return a table with a row for each way and mechanism: scores, and the test against the baseline."""
    columns = [
        Column("Mechanism", "The baseline is the backbone without attention."),
        Column(
            "Way",
            "Directly: the trained network's own answers, among the classes that both sets have. Linear "
            "probe: a logistic regression on its features. Fine-tuned: trained with a new head. "
            "Attached: the mechanism was attached to the baseline, which was then fine-tuned.",
        ),
        Column(
            "Accuracy, %",
            "Mean ± standard deviation over seeds on the target's test part; below, the 95 % interval of the "
            "mean.",
        ),
        Column("Loss", "Cross-entropy; below, ± standard deviation over seeds."),
        Column("To the baseline, points", "Mean difference by seed; below, its own 95 % interval."),
        Column("p", "Two-sided paired t-test against the baseline."),
        Column(
            "Adjusted p",
            f"The same, adjusted for {count(summary.comparisons, 'comparison')} (Holm); a difference is "
            f"significant below {ALPHA:g}.",
        ),
    ]
    rows = [
        [
            Cell(display_name(row.attention), count(row.runs, "seed")),
            Cell(way_title(way, summary.has_backbones), f"guessing: {100 * way.chance:.1f} %"),
            Cell(spread(row.accuracy, 1, scale=100), interval(row.accuracy.ci95, 1, scale=100)),
            Cell(decimals(row.loss.mean, 3), deviation(row.loss, 3)),
            *_test_cells(row.against_baseline),
        ]
        for way in summary.ways
        for row in way.rows
    ]
    return Table(stem, f"Transfer to {summary.target}", columns, rows)


def _test_cells(tested: AdjustedTest | None) -> list[Cell]:
    if tested is None:
        return [Cell(NOTHING)] * 3
    test = tested.test
    return [
        Cell(points(test.difference), interval(test.ci95, 2, scale=100)),
        Cell(p_value(test.p)),
        outcome_cell(test, tested.p_adjusted, tested.outcome),
    ]


def transfer_numbers(way: WaySummary) -> Iterator[dict[str, object]]:
    """Give the rows of one way, with each mean, deviation and interval in a column of its own, for CSV."""
    for row in way.rows:
        flat: dict[str, object] = {
            "way": way.way,
            "backbone": way.backbone,
            "attention": row.attention,
            "runs": row.runs,
            "chance": way.chance,
            "images": way.images,
        }
        for name, described in (("accuracy", row.accuracy), ("loss", row.loss), ("ece", row.ece)):
            flat |= {f"{name}_mean": described.mean, f"{name}_std": described.std}
        content = row.against_baseline.to_json() if row.against_baseline else {}
        low, high = content.get("ci95") or (None, None)
        flat |= {key: content.get(key) for key in ("difference", "p", "p_adjusted", "n")}
        yield flat | {"ci95_low": low, "ci95_high": high}
