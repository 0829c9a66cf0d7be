"""The findings on robustness in sentences."""

from pathlib import Path
from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import NO_SPREAD, count, decimals, listing, p_value, points
from foveate.report.robustness.tables import attack_name, condition_name

__all__ = ["sentences"]

Summary = dict[str, Any]

UNTESTED = f"fewer than two seeds in common, or {NO_SPREAD}"


def sentences(summary: Summary) -> list[str]:
    """The findings, the main one first; what is not there is said not to be there."""
    said: list[str] = []
    if summary["corruptions"]:
        said += [_finding(summary), *_untested(summary), *_images(summary), *_errors(summary)]
        said += [*_hardest(summary), *_single(summary), *_calibration(summary)]
    said += _attacked(summary)
    return [*_unfinished(summary), *(said or ["Nothing could be measured."])]


def _unfinished(summary: Summary) -> list[str]:
    words = {"conditions": "conditions were measured", "attacks": "attacks were made"}
    missing = {what: done for what, done in summary["done"].items() if done["there"] < done["asked"]}
    if not missing:
        return []
    listed = listing([f"{done['there']} of {done['asked']} {words[what]}" for what, done in missing.items()])
    whole = " Corruptions are shown once all their severities are there." if "conditions" in missing else ""
    return [f"This is unfinished: {listed}; the same command goes on.{whole}"]


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
            if BASELINE in rows and len(rows) == 1
            else " Without plain of the same seed, nothing is compared."
        )
        return f"On {where}, accuracy is {listed}.{missing}"
    tested = [test for test in tests if test["p_adjusted"] is not None]
    if not tested:
        listed = listing([_difference(test, rows) for test in tests])
        why = "With fewer than two seeds of each nothing can be tested: this may be chance."
        if max(test["n"] for test in tests) > 1:
            why = f"Nothing could be tested: {UNTESTED}."
        return f"On {where}, with plain at {_percent(rows[BASELINE]['corrupted'])}: {listed}. {why}"
    shown = [test for test in tested if test["p_adjusted"] < summary["statistics"]["alpha"]]
    if not shown:
        largest = max(tested, key=lambda test: abs(test["difference"]))
        return (
            f"On {where}, no mechanism is shown to keep more accuracy than plain "
            f"({_percent(rows[BASELINE]['corrupted'])}), or less: the largest difference is "
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
    return f"On {where}, with plain at {_percent(rows[BASELINE]['corrupted'])}: {'; '.join(parts)}."


def _where(summary: Summary) -> str:
    """Which images, how many, and what was done to them: "5 images of shapes under 2 corruptions in …"."""
    fewest, most = summary["fewest_images"], summary["images"]
    images = f"{most:,} image{'' if most == 1 else 's'}"
    if fewest < most:
        images = f"{fewest:,} to {images}"
    noise = [name.removeprefix("noise_") for name in summary["averaged"] if _is_noise(name)]
    kinds = [f"noise of σ = {listing(noise)}"] if noise else []
    if graded := len(summary["averaged"]) - len(noise):
        levels = len(summary["severities"])
        kinds.insert(
            0, f"{count(graded, 'corruption')} in {levels} {'severity' if levels == 1 else 'severities'}"
        )
    return f"{images} of {_source(summary)} under {listing(kinds)}"


def _source(summary: Summary) -> str:
    if summary["prepared"] and not all(_is_noise(name) for name in summary["averaged"]):
        return f"the prepared set {Path(summary['prepared']).name}"
    return str(summary["data"])


def _is_noise(name: str) -> bool:
    return name.startswith("noise_")


def _difference(test: dict[str, Any], rows: dict[str, Any]) -> str:
    """A mechanism with its gain under corruption, and on clean images, both of the seeds in common."""
    name, clean = test["b"], test["clean_difference"]
    beside = "" if clean is None else f", {points(clean)} on clean images"
    if test["n"] < max(rows[label]["runs"] for label in (name, BASELINE) if label in rows):
        beside += f", by {count(test['n'], 'seed')} in common"
    return f"{display_name(name)} ({points(test['difference'])} points{beside})"


def _untested(summary: Summary) -> list[str]:
    """The mechanisms without a test, where others have one."""
    names = [display_name(test["b"]) for test in summary["tests"] if test["p_adjusted"] is None]
    if not names or len(names) == len(summary["tests"]):
        return []
    return [f"{listing(names)} could not be tested against plain: {UNTESTED}."]


def _images(summary: Summary) -> list[str]:
    """Where clean images or noise are others than the rest, or clean ones more or fewer."""
    clean, said = summary["clean_images"], []
    if clean and {clean} != {summary["fewest_images"], summary["images"]}:
        said.append(f"Accuracy on clean images is of {clean:,} images of {summary['data']}.")
    if _source(summary) != summary["data"] and any(_is_noise(name) for name in summary["corruptions"]):
        said.append(f"Noise of a stated σ is made here, on images of {summary['data']}.")
    return said


def _errors(summary: Summary) -> list[str]:
    others = [row for row in summary["rows"] if row["attention"] != BASELINE]
    known = [
        f"{display_name(row['attention'])} {decimals(row['mce']['mean'], 1, scale=100)} %"
        for row in others
        if row["mce"]["mean"] is not None
    ]
    if not known:
        return []
    kind = "Mean corruption error" if summary["standard"] else "Error"
    said = [f"{kind} relative to plain, where under 100 % is better: {listing(known)}."]
    loss = "relative mean corruption error" if summary["standard"] else "loss relative to plain"
    fewer = [
        f"{len(row['relative_mce']['values'])} of {count(row['runs'], 'network')} of "
        f"{display_name(row['attention'])}"
        for row in others
        if len(row["relative_mce"]["values"]) < row["runs"]
    ]
    if fewer:
        said.append(
            f"The {loss} is known of {listing(fewer)}: plain of the same seed is not there, or loses nothing "
            "on one of the corruptions."
        )
    return said


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
    found = [(row, row["test"]) for row in summary["by_corruption"] if row["test"]]
    tests = [(row, test) for row, test in found if test["p_adjusted"] is not None]
    # Of single seeds nothing is tested at all, and the finding says so.
    untested = sum(test["n"] > 1 and test["p_adjusted"] is None for _, test in found)
    said = [f"{count(untested, 'comparison')} by single corruptions could not be tested: {UNTESTED}."]
    if not untested:
        said = []
    if not tests:
        return said
    shown = [(row, test) for row, test in tests if test["p_adjusted"] < summary["statistics"]["alpha"]]
    compared = f"{count(len(tests), 'comparison')} with plain by single corruptions"
    if not shown:
        return [f"Of {compared}, none is shown to differ once they are adjusted for their number.", *said]
    listed = listing(
        [
            f"{display_name(row['attention'])} on {condition_name(row['corruption'])} "
            f"({points(test['difference'])} points)"
            for row, test in shown
        ]
    )
    return [f"Of {compared}, {len(shown)} {'is' if len(shown) == 1 else 'are'} shown: {listed}.", *said]


def _calibration(summary: Summary) -> list[str]:
    label = summary["rows"][0]["attention"]
    by_level = {
        row["severity"]: row["ece"]["mean"] for row in summary["by_severity"] if row["attention"] == label
    }
    last = max(by_level, default=0)
    if not last or by_level.get(0) is None or by_level[last] is None:
        return []
    without = ", noise of a stated σ left out" if any(map(_is_noise, summary["averaged"])) else ""
    return [
        f"The calibration error of {display_name(label)} goes from {decimals(by_level[0], 1, scale=100)} % "
        f"on clean images to {decimals(by_level[last], 1, scale=100)} % at severity {last}{without}."
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
