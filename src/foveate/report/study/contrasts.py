"""The tables of a study with planned comparisons: parts of a mechanism, or values of its options."""

from typing import Any

from foveate.records.labels import display_name
from foveate.report.core.notation import (
    NOTHING,
    contrast_name,
    count,
    decimals,
    detectable,
    interval,
    magnitude,
    p_value,
    points,
    signed_percent,
    spread,
)
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.tables import outcome_cell

__all__ = ["contrasts_table", "search_sentences", "search_table", "values_table"]

MEASURES = (("parameters", "Parameters"), ("macs", "Multiply-adds"), ("latency", "Latency"))


def contrasts_table(summary: dict[str, Any]) -> Table | None:
    """One row a planned comparison, what it gains and what it costs; None where none was planned."""
    if not summary["study"]["design"]["contrasts"]:
        return None
    settings = summary["study"]["statistics"]
    rows = {row["attention"]: row for row in summary["rows"]}
    columns = [
        Column("Comparison", "Second minus first of the pair below."),
        Column("Gain, points", "Mean difference in test accuracy by seed; below, its own 95 % interval."),
        Column(
            "Adjusted p",
            f"Paired t-test, adjusted for {count(settings['comparisons'], 'comparison')} "
            f"({settings['adjust'].capitalize()}); under {settings['alpha']:g} it counts as shown.",
        ),
        *(Column(title, "Change from the first to the second.") for _, title in MEASURES),
        Column("Detectable, points", "Smallest true difference that these seeds would likely show."),
    ]
    return Table(
        "contrasts",
        "Planned comparisons",
        columns,
        [
            [
                Cell(contrast_name(test), _pair(test)),
                Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100)),
                outcome_cell(test, settings["alpha"], ("gain", "loss")),
                *(_change(rows[test["a"]], rows[test["b"]], key) for key, _ in MEASURES),
                Cell(detectable(test["detectable_difference"])),
            ]
            for test in summary["tests"]
        ],
    )


def values_table(summary: dict[str, Any]) -> Table | None:
    """One row a value of a swept option; None where nothing was swept."""
    values = summary["study"]["design"]["values"]
    if not values:
        return None
    rows = {row["attention"]: row for row in summary["rows"]}
    tests = {(test["group"], test["b"]): test for test in summary["tests"]}
    columns = [
        Column("Option"),
        Column("Accuracy, %", "Mean ± standard deviation over seeds; below, the 95 % interval of the mean."),
        Column("Gain, points", "Over the mechanism as it is, matched by seed; below, its own 95 % interval."),
        Column("Adjusted p", "Paired t-test against the mechanism as it is, adjusted for all comparisons."),
        Column("Parameters"),
        Column("Multiply-adds", "Of one image."),
        Column("Latency p50, ms"),
    ]
    lines = []
    for value in values:
        row, test = rows.get(value["label"]), tests.get((value["option"], value["label"]))
        if row is None:
            continue
        lines.append(
            [
                Cell(f"{value['option']} = {value['value']}", "" if test else "as it is"),
                Cell(spread(row["accuracy"], 2, scale=100), interval(row["accuracy"]["ci95"], 2, scale=100)),
                Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100)) if test else Cell(""),
                Cell(p_value(test["p_adjusted"])) if test else Cell(""),
                Cell(magnitude(row["parameters"])),
                Cell(magnitude(row["macs"])),
                Cell(decimals(row["latency_ms_p50"], 2)),
            ]
        )
    return Table("values", "Values of the options", columns, lines)


def search_table(summary: dict[str, Any]) -> Table | None:
    """One row a trial of the search that came before the study, the best first; None where there was none."""
    found = summary["study"]["design"]["search"]
    if found is None:
        return None
    ends = {"complete": "", "pruned": "ended early", "failed": "failed"}
    ranked = sorted(
        found["trials"], key=lambda trial: (trial["state"] != "complete", -(trial["accuracy"] or 0))
    )
    columns = [
        Column("Trial"),
        *map(Column, found["trials"][0]["values"]),
        Column("Validation accuracy, %", "Best of its epochs, on one seed; nothing was tested here."),
        Column("Epochs"),
    ]
    rows = [
        [
            Cell(str(trial["number"]), ends[trial["state"]]),
            *map(Cell, trial["values"].values()),
            Cell(decimals(trial["accuracy"], 2, scale=100)),
            Cell(str(trial["epochs"])),
        ]
        for trial in ranked
    ]
    return Table("search", "Trials of the search", columns, rows)


def search_sentences(summary: dict[str, Any]) -> list[str]:
    """What the search did, and which option mattered most in it."""
    found = summary["study"]["design"]["search"]
    trials = found["trials"]
    early = sum(trial["state"] == "pruned" for trial in trials)
    sentences = [
        f"{count(len(trials), 'combination')} tried on seed {found['seed']} by {found['engine']}, {early} of "
        f"them ended early. The validation part alone judged them; the test part was not read. Best: "
        f"{found['best']}. What is tested below was trained anew, on all seeds."
    ]
    if found["importance"]:
        shares = ", ".join(f"{option} {100 * share:.0f} %" for option, share in found["importance"].items())
        sentences.append(f"Share of each option in the spread of these accuracies (fANOVA): {shares}.")
    return sentences


def _pair(test: dict[str, Any]) -> str:
    return f"{display_name(test['a'])} → {display_name(test['b'])}"


def _change(before: dict[str, Any], after: dict[str, Any], measure: str) -> Cell:
    """By both changes to plain: latencies were measured side by side with it."""
    growths = [row[f"{measure}_increase_percent"] for row in (before, after)]
    if None in growths:
        return Cell(NOTHING)
    return Cell(signed_percent(100 * ((100 + growths[1]) / (100 + growths[0]) - 1)))
