"""What an examination of maps comes to in plain numbers: scores by mechanism, and tests against plain."""

from collections.abc import Iterator
from typing import Any

from foveate.evaluation.intervals import AMOUNT, SHARE, Bounds
from foveate.evaluation.statistics import adjust_tests, describe, paired_test
from foveate.records.labels import BASELINE

__all__ = ["SCORES", "SCORE_BOUNDS", "summarise_explained"]

SCORES: dict[str, tuple[str, int]] = {
    "focus_ratio": ("Focus ratio", 1),
    "noise_suppression": ("Noise suppression ratio", -1),
    "pointing_game": ("Pointing game", 1),
    "view_consistency": ("Consistency over views", 1),
    "class_consistency": ("Consistency over a class", 0),
    "road": ("ROAD", 1),
}
"""What tables call a score, and whether higher (1) or lower (-1) is better; 0 where neither is."""
SCORE_BOUNDS = dict.fromkeys(SCORES, SHARE) | {"noise_suppression": AMOUNT, "road": Bounds(-0.5, 0.5)}
"""What the values of a score lie between; maps have no values under 0, so a cosine of two has none either."""

ALPHA = 0.05
Rows = list[dict[str, Any]]


def summarise_explained(record: dict[str, Any]) -> dict[str, Any]:
    """Summarise a record of `foveate explain`.

    "rows": a mechanism and its scores, over seeds (mean, std, ci95, n) where there are several, else over the
    images of one network; "over" says which. "tests": each against plain, paired by seed, adjusted by Holm
    for all of them. "learned": what attention learned in single numbers, by layer.
    """
    rows: Rows = record["rows"]
    labels = sorted(dict.fromkeys(row["label"] for row in rows), key=lambda label: label != BASELINE)
    names = [name for name in SCORES if any(name in row["scores"] for row in rows)]
    return {
        "method": record["settings"]["method"],
        "layers": list(dict.fromkeys(row["layer"] for row in rows)),
        "data": record["data"],
        "left_out": record["left_out"],
        "statistics": {"alpha": ALPHA, "adjust": "holm"},
        "scores": names,
        "rows": [
            {"attention": label, "runs": len(_of(rows, label))}
            | {name: _described(_of(rows, label), name) for name in names}
            for label in labels
        ],
        "tests": _tests(rows, labels, names),
        "learned": list(_learned(rows, labels)),
    }


def _of(rows: Rows, label: str) -> Rows:
    return [row for row in rows if row["label"] == label]


def _described(rows: Rows, name: str) -> dict[str, Any] | None:
    found = [row["scores"][name] for row in rows if row["scores"].get(name, {}).get("mean") is not None]
    if not found:
        return None
    if len(found) == 1:
        over = "classes" if name == "class_consistency" else "images"
        return {**found[0], "over": over}
    described = describe([score["mean"] for score in found], SCORE_BOUNDS[name])
    described.pop("values")
    return {**described, "n": len(found), "undefined": sum(score["undefined"] for score in found)} | {
        "over": "seeds"
    }


def _tests(rows: Rows, labels: list[str], names: list[str]) -> Rows:
    tests = []
    for name in names:
        plain = _by_seed(_of(rows, BASELINE), name)
        for label in labels:
            other = _by_seed(_of(rows, label), name)
            seeds = sorted(plain.keys() & other.keys())
            if label != BASELINE and seeds:
                before, after = ([of_label[seed] for seed in seeds] for of_label in (plain, other))
                test = paired_test(before, after, SCORE_BOUNDS[name])
                tests.append({"score": name, "a": BASELINE, "b": label, **test})
    adjust_tests(tests)
    return tests


def _by_seed(rows: Rows, name: str) -> dict[int, float]:
    return {
        row["seed"]: row["scores"][name]["mean"]
        for row in rows
        if row["seed"] is not None and row["scores"].get(name, {}).get("mean") is not None
    }


def _learned(rows: Rows, labels: list[str]) -> Iterator[dict[str, Any]]:
    for label in labels:
        places = {
            (site, number): None
            for row in _of(rows, label)
            for site, numbers in row["learned"].items()
            for number in numbers
        }
        for site, number in places:
            values = [
                row["learned"][site][number]
                for row in _of(rows, label)
                if number in row["learned"].get(site, {})
            ]
            yield {"attention": label, "site": site, "number": number, **describe(values)}
