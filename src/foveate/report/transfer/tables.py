"""The tables of a transfer: by way and mechanism, for people and for CSV."""

from collections.abc import Mapping, Sequence
from typing import Any

from foveate.records.labels import display_name
from foveate.report.core.notation import (
    NOTHING,
    count,
    decimals,
    deviation,
    interval,
    p_value,
    points,
    spread,
)
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.tables import outcome_cell

__all__ = ["WAYS", "flat_row", "is_shown", "transfer_table", "way_title"]

WAYS = {
    "direct": "directly",
    "probe": "linear probe",
    "finetune": "fine-tuned",
    "attached": "attached, then fine-tuned",
}
ALPHA = 0.05


Row = Mapping[str, Any]


def way_title(way: Row, several: bool) -> str:
    """Name a way, and its backbone where there are several."""
    return WAYS[way["way"]] + (f" ({way['backbone']})" if several else "")


def is_shown(test: Row) -> bool:
    """Whether a difference to plain counts as shown: by its adjusted p."""
    return test["p_adjusted"] is not None and test["p_adjusted"] < ALPHA


def transfer_table(summary: Row, stem: str, several: bool) -> Table:
    """One row a way and mechanism: what it reached, and whether that differs from plain."""
    columns = [
        Column("Mechanism", "Plain is the backbone without attention."),
        Column(
            "Way",
            "Directly: the trained network's own answers, among the classes that both sets have. Linear "
            "probe: a logistic regression on its features. Fine-tuned: trained on, with a new head. "
            "Attached: put into the plain network, which was then fine-tuned.",
        ),
        Column(
            "Accuracy, %",
            "Mean ± standard deviation over seeds on the target's test part; below, the 95 % interval of the "
            "mean.",
        ),
        Column("Loss", "Cross-entropy; below, ± standard deviation over seeds."),
        Column("To plain, points", "Mean difference by seed; below, its own 95 % interval."),
        Column("p", "Two-sided paired t-test against plain."),
        Column(
            "Adjusted p",
            f"The same, adjusted for {count(summary['comparisons'], 'comparison')} (Holm); under {ALPHA:g} a "
            "difference counts as shown.",
        ),
    ]
    rows = [
        [
            Cell(display_name(row["attention"]), count(row["runs"], "seed")),
            Cell(way_title(way, several), f"guessing: {100 * way['chance']:.1f} %"),
            Cell(spread(row["accuracy"], 1, scale=100), interval(row["accuracy"]["ci95"], 1, scale=100)),
            Cell(decimals(row["loss"]["mean"], 3), deviation(row["loss"], 3)),
            *_outcome(row["test"]),
        ]
        for way in summary["ways"]
        for row in way["rows"]
    ]
    return Table(stem, f"Transfer to {summary['target']}", columns, rows)


def _outcome(test: Row | None) -> Sequence[Cell]:
    if test is None:
        return [Cell(NOTHING)] * 3
    return [
        Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100)),
        Cell(p_value(test["p"])),
        outcome_cell(test, ALPHA),
    ]


def flat_row(way: Row, row: Row) -> dict[str, Any]:
    """A row with each mean, deviation and interval in a column of its own, for CSV."""
    flat: dict[str, Any] = {
        "way": way["way"],
        "backbone": way["backbone"],
        "attention": row["attention"],
        "runs": row["runs"],
        "chance": way["chance"],
        "images": way["images"],
    }
    for score in ("accuracy", "loss", "ece"):
        flat |= {f"{score}_mean": row[score]["mean"], f"{score}_std": row[score]["std"]}
    test = row["test"] or {}
    low, high = test.get("ci95") or (None, None)
    flat |= {key: test.get(key) for key in ("difference", "p", "p_adjusted", "n")}
    return flat | {"ci95_low": low, "ci95_high": high}
