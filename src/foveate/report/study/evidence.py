"""Sentences that verdicts are made of: what was shown, how surely, and what could not be."""

from typing import Any

from foveate.records.labels import display_name
from foveate.report.core.notation import NO_SPREAD, contrast_name, count, interval, listing, p_value, points

__all__ = ["Row", "Test", "evidence", "in_points", "is_shown", "largest", "limits", "price"]

MANY_SEEDS = 100
"""Beyond this a number of seeds is advice to nobody: it is said to be more."""

Row = dict[str, Any]
Test = dict[str, Any]


def limits(unshown: list[Test], which: str, settings: dict[str, Any]) -> list[str]:
    """What was seen, what could have been detected, and how many seeds it would take."""
    sentences = []
    testable = [test for test in unshown if test["detectable_difference"] is not None]
    if testable:
        test, seen = largest(testable, which)
        needed = test["seeds_needed"]
        among = settings["comparisons"]
        shared = f" shared by {among} comparisons" if among > 1 else ""
        limit = test["detectable_difference"]
        could = f"only a difference of about {in_points(limit)} or more" if limit < 1 else "no difference"
        sentences.append(
            f"{seen} With these {count(test['n'], 'seed')} {could} would have been detected with "
            f"{100 * settings['power']:g} % chance, at a level of {100 * settings['alpha']:g} %{shared}."
        )
        if needed is not None:
            number = f"more than {MANY_SEEDS}" if needed > MANY_SEEDS else f"about {needed}"
            sentences.append(f"To detect a true difference as large as the one seen takes {number} seeds.")
    for test in unshown:
        pair = f"{display_name(test['a'])} and {display_name(test['b'])}"
        if test["n"] < 2:
            sentences.append(f"{pair} share {count(test['n'], 'seed')}: no test of them is possible.")
        elif test["p"] is None:
            sentences.append(f"{pair}: {points(test['difference'])} points, {NO_SPREAD}.")
    return sentences


def is_shown(test: Test, settings: dict[str, Any]) -> bool:
    """Whether a difference counts as shown: by its adjusted p."""
    return test["p_adjusted"] is not None and test["p_adjusted"] < settings["alpha"]


def largest(tests: list[Test], which: str) -> tuple[Test, str]:
    """The largest difference, and a sentence that says so."""
    test = max(tests, key=lambda test: abs(test["difference"]))
    return test, f"The largest difference {which} is {points(test['difference'])} points ({_name(test)})."


def _name(test: Test) -> str:
    if "title" in test:
        return contrast_name(test)
    return f"{test['b']} against {display_name(test['a'])}"


def evidence(test: Test) -> str:
    """How large a difference is, without its sign, and how sure."""
    sign = 1 if test["difference"] > 0 else -1
    bounds = sorted(sign * bound for bound in test["ci95"])
    return (
        f"{in_points(abs(test['difference']))} of accuracy (95 % interval {interval(bounds, 2, scale=100)}; "
        f"adjusted p {'' if test['p_adjusted'] < 0.001 else '= '}{p_value(test['p_adjusted'])})"
    )


def price(row: Row) -> str:
    """What a row costs beside plain."""
    changes = [
        "no latency that was shown to differ"
        if measure == "latency" and is_latency_unshown(row)
        else _change(row[f"{measure}_increase_percent"], noun, fewer)
        for measure, noun, fewer in (
            ("parameters", "parameters", "fewer"),
            ("macs", "multiply-adds", "fewer"),
            ("latency", "latency", "less"),
        )
        if row[f"{measure}_increase_percent"] is not None
    ]
    return listing(changes) if changes else "not measured"


def is_latency_unshown(row: Row) -> bool:
    """Whether the interval of the ratio of latencies to plain's holds 1; records of 0.1.0 have none."""
    bounds = row.get("latency_ratio_ci95")
    return bounds is not None and bounds[0] <= 1 <= bounds[1]


def _change(percent: float, noun: str, fewer: str) -> str:
    if abs(percent) < 0.05:
        return f"hardly any change in {noun}" if percent else f"no more {noun}"
    size = f"{abs(percent):.1f}" if abs(percent) < 99.95 else f"{abs(percent):.0f}"
    return f"{size} % {'more' if percent > 0 else fewer} {noun}"


def in_points(fraction: float) -> str:
    """Write a difference of accuracies in points."""
    return f"{100 * fraction:.2f} points"
