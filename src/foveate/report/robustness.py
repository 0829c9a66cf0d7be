"""The section on robustness: its findings in words, with figures, tables and numbers."""

from pathlib import Path
from typing import Any

from foveate.report.notation import count, decimals, display_name, listing, p_value, points
from foveate.report.records import PLAIN
from foveate.report.robustness_charts import robustness_figures
from foveate.report.robustness_summary import summarise_robustness
from foveate.report.robustness_tables import attack_name, condition_name, robustness_tables
from foveate.report.sections import Section

__all__ = ["robustness_section", "summarise_robustness"]

Summary = dict[str, Any]


def robustness_section(record: dict[str, Any], folder: Path | None = None) -> Section:
    """Make the section of a record; it has no pictures, so `folder` is not looked into."""
    summary = summarise_robustness(record)
    return Section(
        "robustness",
        "Robustness",
        sentences(summary),
        robustness_figures(summary),
        robustness_tables(summary),
        numbers=_numbers(record),
    )


def sentences(summary: Summary) -> list[str]:
    """The findings, the main one first; what is not there is said not to be there."""
    said: list[str] = []
    if summary["corruptions"]:
        said += [_finding(summary), *_errors(summary), *_hardest(summary), *_single(summary)]
        said += _calibration(summary)
    said += _attacked(summary)
    return said or ["Nothing could be measured."]


def _finding(summary: Summary) -> str:
    rows = {row["attention"]: row for row in summary["rows"] if row["corrupted"]["mean"] is not None}
    where = _where(summary)
    if not rows:
        return f"On {where}, no network has been measured to the end."
    tests = [test for test in summary["tests"] if test["difference"] is not None]
    if not tests:
        listed = listing(
            [f"{display_name(label)} {_percent(row['corrupted'])}" for label, row in rows.items()]
        )
        missing = (
            ""
            if PLAIN in rows and len(rows) == 1
            else " Without plain of the same seed, nothing is compared."
        )
        return f"On {where}, accuracy is {listed}.{missing}"
    tested = [test for test in tests if test["p_adjusted"] is not None]
    if not tested:
        listed = listing([_difference(test, rows) for test in tests])
        return (
            f"On {where}, with plain at {_percent(rows[PLAIN]['corrupted'])}: {listed}. "
            "With fewer than two seeds of each nothing can be tested: this may be chance."
        )
    shown = [test for test in tested if test["p_adjusted"] < summary["statistics"]["alpha"]]
    if not shown:
        largest = max(tested, key=lambda test: abs(test["difference"]))
        return (
            f"On {where}, no mechanism is shown to keep more accuracy than plain "
            f"({_percent(rows[PLAIN]['corrupted'])}), or less: the largest difference is "
            f"{_difference(largest, rows)} (adjusted p {p_value(largest['p_adjusted'])})."
        )
    better = [test for test in shown if test["difference"] > 0]
    worse = [test for test in shown if test["difference"] < 0]
    parts = [
        f"{listing([_difference(test, rows) for test in group])} "
        f"{'is' if len(group) == 1 else 'are'} shown to be {word} than plain"
        for group, word in ((better, "better"), (worse, "worse"))
        if group
    ]
    return f"On {where}, with plain at {_percent(rows[PLAIN]['corrupted'])}: {'; '.join(parts)}."


def _where(summary: Summary) -> str:
    kinds = count(len(summary["averaged"]), "corruption")
    if summary["severities"]:
        kinds += f" in {count(len(summary['severities']), 'severity').replace('severitys', 'severities')}"
    images = f"{summary['images']:,} image{'' if summary['images'] == 1 else 's'}"
    return f"{images} of {summary['data']} under {kinds}"


def _difference(test: dict[str, Any], rows: dict[str, Any]) -> str:
    """A mechanism with its gain under corruption, and on clean images for comparison."""
    name, clean = test["b"], None
    if (
        name in rows
        and PLAIN in rows
        and None not in (rows[name]["clean"]["mean"], rows[PLAIN]["clean"]["mean"])
    ):
        clean = rows[name]["clean"]["mean"] - rows[PLAIN]["clean"]["mean"]
    beside = "" if clean is None else f", {points(clean)} on clean images"
    return f"{display_name(name)} ({points(test['difference'])} points{beside})"


def _errors(summary: Summary) -> list[str]:
    known = [
        f"{display_name(row['attention'])} {decimals(row['mce']['mean'], 1, scale=100)} %"
        for row in summary["rows"]
        if row["attention"] != PLAIN and row["mce"]["mean"] is not None
    ]
    if not known:
        return []
    kind = "Mean corruption error" if summary["standard"] else "Mean error over these corruptions"
    return [f"{kind} relative to plain, where under 100 % is better: {listing(known)}."]


def _hardest(summary: Summary) -> list[str]:
    label = summary["rows"][0]["attention"]
    of_first = [
        (row["accuracy"]["mean"], row["corruption"])
        for row in summary["by_corruption"]
        if row["attention"] == label and row["accuracy"]["mean"] is not None
    ]
    if len(of_first) < 2:
        return []
    (low, hardest), (high, mildest) = min(of_first), max(of_first)
    return [
        f"Hardest for {display_name(label)} is {condition_name(hardest)} ({decimals(low, 1, scale=100)} %), "
        f"mildest {condition_name(mildest)} ({decimals(high, 1, scale=100)} %)."
    ]


def _single(summary: Summary) -> list[str]:
    tests = [
        (row, row["test"])
        for row in summary["by_corruption"]
        if row["test"] and row["test"]["p_adjusted"] is not None
    ]
    if not tests:
        return []
    shown = [(row, test) for row, test in tests if test["p_adjusted"] < summary["statistics"]["alpha"]]
    compared = f"{count(len(tests), 'comparison')} with plain by single corruptions"
    if not shown:
        return [f"Of {compared}, none is shown to differ once they are adjusted for their number."]
    listed = listing(
        [
            f"{display_name(row['attention'])} on {condition_name(row['corruption'])} "
            f"({points(test['difference'])} points)"
            for row, test in shown
        ]
    )
    return [f"Of {compared}, {len(shown)} {'is' if len(shown) == 1 else 'are'} shown: {listed}."]


def _calibration(summary: Summary) -> list[str]:
    label = summary["rows"][0]["attention"]
    by_level = {
        row["severity"]: row["ece"]["mean"] for row in summary["by_severity"] if row["attention"] == label
    }
    last = max(by_level, default=0)
    if not last or by_level.get(0) is None or by_level[last] is None:
        return []
    return [
        f"The calibration error of {display_name(label)} goes from {decimals(by_level[0], 1, scale=100)} % "
        f"on clean images to {decimals(by_level[last], 1, scale=100)} % at severity {last}."
    ]


def _attacked(summary: Summary) -> list[str]:
    said = []
    attacked = [row for row in summary["attacks"] if row["eps"] is not None]
    for name, eps in dict.fromkeys((row["attack"], row["eps"]) for row in attacked):
        listed = listing(
            [
                f"{display_name(row['attention'])} {_percent(row['accuracy'])}"
                for row in attacked
                if (row["attack"], row["eps"]) == (name, eps)
            ]
        )
        said.append(f"The attack {attack_name(name)} at ε = {eps:g}/255 leaves {listed}.")
    return said


def _percent(described: dict[str, Any]) -> str:
    return f"{decimals(described['mean'], 1, scale=100)} %"


def _numbers(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows as measured, for CSV files."""
    labels = {one["name"]: one for one in record["networks"]}
    corrupted: list[dict[str, Any]] = []
    attacked: list[dict[str, Any]] = []
    for row in record["rows"]:
        key = row["key"]
        one = labels.get(key["network"], {"label": None, "seed": None})
        flat = {"attention": one["label"], "seed": one["seed"], "network": key["network"]}
        scores = {score: row[score] for score in ("accuracy", "loss", "ece", "images")}
        if "attack" in key:
            attacked.append(flat | {"attack": key["attack"], "eps": key["eps"]} | scores)
        else:
            corrupted.append(flat | {"corruption": key["corruption"], "severity": key["severity"]} | scores)
    found = {"robustness": corrupted, "robustness_attacks": attacked}
    return {stem: rows for stem, rows in found.items() if rows}
