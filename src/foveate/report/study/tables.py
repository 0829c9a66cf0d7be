"""The tables that people read, once for the page, Markdown and LaTeX."""

from collections.abc import Mapping
from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import (
    NOTHING,
    count,
    decimals,
    detectable,
    deviation,
    interval,
    magnitude,
    p_value,
    points,
    signed_percent,
    spread,
)
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.evidence import is_latency_unshown

__all__ = [
    "latency_change",
    "outcome_cell",
    "results_table",
    "tests_table",
    "training_table",
    "untested",
]


def results_table(summary: dict[str, Any]) -> Table:
    """One row a mechanism: what it reached, what it costs, and whether that differs from plain."""
    study = summary["study"]
    adjust, alpha = study["statistics"]["adjust"].capitalize(), study["statistics"]["alpha"]
    where = "".join(
        f", {key.replace('_', ' ')} {study['cost'][key]}"
        for key in ("batch_size", "device")
        if key in study["cost"]
    )
    columns = [
        Column("Mechanism", "Plain is the backbone without attention."),
        Column(
            "Accuracy, %",
            "Mean ± standard deviation over seeds on the test part; below, the 95 % interval of the mean "
            "(Wilson's, with Student's quantile: within 0 and 100).",
        ),
        Column("Loss", "Cross-entropy on the test part; below, ± standard deviation over seeds."),
        Column("Precision, %", "Share of the answers naming a class that are right, averaged over classes."),
        Column("Recall, %", "Share of a class's images that are found, averaged over classes."),
        Column("F1, %", "Harmonic mean of precision and recall, averaged over classes."),
        Column("Calibration error, %", "Expected gap between confidence and accuracy (ECE); 0 is best."),
        Column("Parameters", "Learned numbers of the network; below, the change to plain."),
        Column("Multiply-adds", "Of one image; below, the change to plain."),
        Column(
            "Latency p50, ms",
            f"Median time of one pass measured here{where}; below, the change to plain: the median of the "
            "ratios within rounds, in which all take turns. A ? marks one that is rough, or not shown.",
        ),
        Column("Efficiency score", "Accuracy gained in points per 1 % of parameters added."),
        Column(
            "Adjusted p",
            f"Paired t-test against plain, adjusted for all comparisons ({adjust}); under {alpha:g} a "
            "difference counts as shown.",
        ),
    ]
    to_plain = {test["b"]: test for test in summary["tests"] if test["a"] == BASELINE}
    rows = [
        [
            Cell(display_name(row["attention"]), count(row["runs"], "seed")),
            Cell(spread(row["accuracy"], 2, scale=100), interval(row["accuracy"]["ci95"], 2, scale=100)),
            Cell(decimals(row["loss"]["mean"], 3), deviation(row["loss"], 3)),
            *(
                Cell(decimals(row[metric]["mean"], 2, scale=100), deviation(row[metric], 2, scale=100))
                for metric in ("precision", "recall", "f1", "ece")
            ),
            Cell(magnitude(row["parameters"]), _change(row, "parameters")),
            Cell(magnitude(row["macs"]), _change(row, "macs")),
            Cell(
                decimals(row["latency_ms_p50"], 2),
                latency_change(row, study),
            ),
            Cell(decimals(row["efficiency_score"], 2)),
            outcome_cell(to_plain.get(row["attention"]), alpha),
        ]
        for row in summary["rows"]
    ]
    return Table("results", "Results by mechanism", columns, rows)


def tests_table(summary: dict[str, Any]) -> Table:
    """One row a pair of mechanisms."""
    settings = summary["study"]["statistics"]
    chance = f"{100 * settings['power']:g} %"
    columns = [
        Column("Pair", "The second minus the first, matched seed by seed."),
        Column("Difference, points", "Mean difference in test accuracy; below, its own 95 % interval."),
        Column("p", "Two-sided paired t-test: how often chance alone would make at least this difference."),
        Column(
            "Adjusted p",
            f"The same, adjusted for {count(settings['comparisons'], 'comparison')} "
            f"({settings['adjust'].capitalize()}).",
        ),
        Column("Cohen's d", "Paired (d_z): mean difference over the standard deviation of the differences."),
        Column("Seeds", "Seeds that both have finished."),
        Column("Detectable, points", f"Smallest true difference these seeds detect with {chance} chance."),
        Column("Seeds needed", f"To detect a true difference as large as the one seen with {chance} chance."),
    ]
    rows = [
        [
            Cell(f"{display_name(test['a'])} → {display_name(test['b'])}"),
            Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100)),
            Cell(p_value(test["p"])),
            Cell(p_value(test["p_adjusted"]), untested(test)),
            Cell(decimals(test["cohens_d"], 2)),
            Cell(str(test["n"])),
            Cell(detectable(test["detectable_difference"])),
            Cell(magnitude(test["seeds_needed"])),
        ]
        for test in summary["tests"]
    ]
    return Table("tests", "Paired tests of all mechanisms", columns, rows)


def training_table(summary: dict[str, Any]) -> Table:
    """How fast and how steadily each mechanism trains."""
    columns = [
        Column("Mechanism"),
        Column("Epochs to 95 %", "First epoch whose validation accuracy reaches 95 % of the last epoch's."),
        Column(
            "Fluctuation, points",
            "Standard deviation of the validation accuracy over the last tenth of more than ten epochs.",
        ),
        Column(
            "Waiting for images, %",
            "Share of the training's time between the end of one batch and the start of the next.",
        ),
        Column("Training time, s", "Of one run, mean ± standard deviation over seeds."),
    ]
    rows = [
        [
            Cell(display_name(row["attention"])),
            Cell(spread(row["epochs_to_95"], 1)),
            Cell(spread(row["fluctuation"], 2, scale=100)),
            Cell(spread(row["input_share"], 1, scale=100)),
            Cell(spread(row["train_seconds"], 1)),
        ]
        for row in summary["rows"]
    ]
    return Table("training", "How training went", columns, rows)


def _change(row: dict[str, Any], measure: str) -> str:
    percent = row[f"{measure}_increase_percent"]
    return "" if row["attention"] == BASELINE or percent is None else signed_percent(percent)


def latency_change(row: dict[str, Any], study: dict[str, Any]) -> str:
    """The change to plain, behind a question mark where it is rough or its interval holds 0."""
    change = _change(row, "latency")
    rough = study["cost"].get("noise") or is_latency_unshown(row)
    return f"? {change}" if change and rough else change


def untested(test: Mapping[str, Any]) -> str:
    """Say in a cell why a comparison has no p; nothing where it has one."""
    if test["p"] is not None:
        return ""
    return "no test" if test["n"] < 2 else "no test: same in each seed"


def outcome_cell(
    test: Mapping[str, Any] | None, alpha: float, words: tuple[str, str] = ("better", "worse")
) -> Cell:
    """The adjusted p of a test; below, what it came to: one of `words`, not shown, or why there is none."""
    if test is None or test["p_adjusted"] is None:
        return Cell(NOTHING, untested(test) if test else "")
    if test["p_adjusted"] >= alpha:
        return Cell(p_value(test["p_adjusted"]), "not shown")
    return Cell(p_value(test["p_adjusted"]), words[test["difference"] < 0])
