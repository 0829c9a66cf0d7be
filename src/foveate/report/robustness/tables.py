"""The tables of the robustness section: mechanisms, corruptions, attacks."""

from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import NOTHING, count, decimals, deviation, interval, points, spread
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.tables import outcome_cell

__all__ = ["condition_name", "robustness_tables"]


def robustness_tables(summary: dict[str, Any]) -> list[Table]:
    """Make those tables that there are numbers for."""
    made = []
    if summary["corruptions"]:
        made += [_mechanisms(summary), _corruptions(summary)]
    if summary["attacks"]:
        made.append(_attacks(summary))
    return made


def condition_name(name: str) -> str:
    """Write the name of a corruption for people: "motion blur", "noise, σ = 15"."""
    if name.startswith("noise_"):
        return f"noise, σ = {name.removeprefix('noise_')}"
    return {"jpeg_compression": "JPEG compression"}.get(name, name.replace("_", " "))


def _mechanisms(summary: dict[str, Any]) -> Table:
    over = count(len(summary["averaged"]), "corruption")
    tests = {test["b"]: test for test in summary["tests"]}
    columns = [
        Column("Mechanism"),
        Column("Clean accuracy, %", "On the same images as they are, mean ± standard deviation over seeds."),
        Column(
            "Corrupted accuracy, %",
            f"Mean over severities and {over}; below, the 95 % interval of the mean over seeds.",
        ),
        Column("Difference, points", "In corrupted accuracy to plain, by seed; below, its 95 % interval."),
        Column("Adjusted p", "Paired t-test of that difference, adjusted for the mechanisms (Holm)."),
        Column(
            "mCE, %" if summary["standard"] else "Error relative to plain, %",
            f"Mean over {over} of the error relative to plain's of the same seed; under 100 is better.",
        ),
        Column(
            "Relative mCE, %" if summary["standard"] else "Loss relative to plain, %",
            "The same of what is lost to the clean images.",
        ),
        Column("Calibration error, %", "ECE on corrupted images; below, on clean ones."),
    ]
    rows = [
        [
            Cell(display_name(row["attention"]), count(row["runs"], "network")),
            Cell(spread(row["clean"], 2, scale=100)),
            Cell(spread(row["corrupted"], 2, scale=100), interval(row["corrupted"]["ci95"], 2, scale=100)),
            _difference(tests.get(row["attention"])),
            outcome_cell(tests.get(row["attention"]), summary["statistics"]["alpha"]),
            Cell(decimals(row["mce"]["mean"], 1, scale=100), deviation(row["mce"], 1, scale=100)),
            Cell(
                decimals(row["relative_mce"]["mean"], 1, scale=100),
                deviation(row["relative_mce"], 1, scale=100),
            ),
            Cell(
                decimals(row["ece"]["mean"], 2, scale=100), decimals(row["clean_ece"]["mean"], 2, scale=100)
            ),
        ]
        for row in summary["rows"]
    ]
    return Table("robustness", "Accuracy on corrupted images", columns, rows)


def _corruptions(summary: dict[str, Any]) -> Table:
    labels = [row["attention"] for row in summary["rows"]]
    cells = {(row["corruption"], row["attention"]): row for row in summary["by_corruption"]}
    columns = [
        Column("Corruption"),
        *(
            Column(
                f"{display_name(label)}, %",
                "Mean accuracy over severities."
                if label == BASELINE
                else "Below, the difference to plain in points; * where it is shown.",
            )
            for label in labels
        ),
    ]
    rows = [
        [Cell(condition_name(name)), *(_accuracy(cells[name, label], summary) for label in labels)]
        for name in summary["corruptions"]
    ]
    return Table("robustness_corruptions", "Accuracy by corruption", columns, rows)


def _attacks(summary: dict[str, Any]) -> Table:
    places = list(dict.fromkeys((row["attack"], row["eps"]) for row in summary["attacks"]))
    cells = {(row["attack"], row["eps"], row["attention"]): row for row in summary["attacks"]}
    images = max(row["images"] for row in summary["attacks"])
    columns = [
        Column("Mechanism"),
        *(
            Column(
                "Clean, %" if eps is None else f"{attack_name(name)}, ε = {eps:g}/255, %",
                f"Accuracy left of {count(images, 'image')} a network, mean ± standard deviation over seeds.",
            )
            for name, eps in places
        ),
    ]
    rows = [
        [
            Cell(display_name(row["attention"])),
            *(
                Cell(spread(found["accuracy"], 1, scale=100))
                if (found := cells.get((*place, row["attention"])))
                else Cell(NOTHING)
                for place in places
            ),
        ]
        for row in summary["rows"]
    ]
    return Table("robustness_attacks", "Accuracy under attack", columns, rows)


def attack_name(name: str) -> str:
    """Write an attack's name for people."""
    return {"fgsm": "FGSM", "pgd": "PGD"}.get(name, name)


def _difference(test: dict[str, Any] | None) -> Cell:
    if test is None or test["difference"] is None:
        return Cell(NOTHING)
    return Cell(points(test["difference"]), interval(test["ci95"], 2, scale=100))


def _accuracy(row: dict[str, Any], summary: dict[str, Any]) -> Cell:
    test, main = row["test"], decimals(row["accuracy"]["mean"], 2, scale=100)
    if test is None or test["difference"] is None:
        return Cell(main)
    shown = test["p_adjusted"] is not None and test["p_adjusted"] < summary["statistics"]["alpha"]
    return Cell(main, points(test["difference"]) + "*" * shown)
