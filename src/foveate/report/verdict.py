"""The verdict in sentences that a person can defend: what the tests have shown, and what they could not."""

import math
from typing import Any

from foveate.report.notation import count, display_name, interval, listing, p_value, points
from foveate.report.records import PLAIN

__all__ = ["verdict"]

MANY_SEEDS = 100
"""Beyond this a number of seeds is advice to nobody: it is said to be more."""

Row = dict[str, Any]
Test = dict[str, Any]


def verdict(summary: dict[str, Any]) -> list[str]:
    """Say which mechanism is worth what, the headline first. "Not shown" is never "no effect"."""
    rows = {row["attention"]: row for row in summary["rows"]}
    tests, study = summary["tests"], summary["study"]
    if not tests:
        (only,) = rows
        sentences = [f"Only {display_name(only)} has finished runs, so there is nothing to compare it with."]
    elif all(test["n"] < 2 for test in tests):
        sentences = _untested(tests, with_plain=PLAIN in rows)
    elif PLAIN in rows:
        sentences = _against_plain(rows, tests, study["statistics"])
    else:
        sentences = _without_plain(tests, study["statistics"])
    asked = len(study["attention"]) * len(study["seeds"])
    absent = asked - sum(row["runs"] for row in summary["rows"])
    if absent:
        sentences.append(
            f"{absent} of the {count(asked, 'run')} {'is' if absent == 1 else 'are'} missing; "
            "this rests on the others."
        )
    sentences.append(
        f"This speaks for {study['backbone']} on {study['data']['name']} under this recipe. The intervals "
        "tell of chance between seeds, not of chance in the choice of the "
        f"{study['data']['test']} test images."
    )
    return sentences


def _against_plain(rows: dict[str, Row], tests: list[Test], settings: dict[str, Any]) -> list[str]:
    to_plain = [test for test in tests if test["a"] == PLAIN]
    shown = [test for test in to_plain if _shown(test, settings)]
    better = [test for test in shown if test["difference"] > 0]
    worse = [test for test in shown if test["difference"] < 0]
    unshown = [test for test in to_plain if test not in shown]
    sentences = []
    if better:
        sentences.append(_choice(better, rows, tests, settings))
    elif worse:
        sentences.append("No mechanism was shown to be better than plain.")
    else:
        sentences.append("Nobody can tell yet: no mechanism was shown to differ from plain.")
    sentences += [
        f"{test['b']} is better than plain by {_evidence(test)}; its price: {_price(rows[test['b']])}."
        for test in sorted(better, key=lambda test: -test["difference"])
    ]
    sentences += [
        f"{test['b']} is worse than plain by {_evidence(test)}."
        for test in sorted(worse, key=lambda test: test["difference"])
    ]
    if unshown and shown:
        names = listing([test["b"] for test in unshown])
        sentences.append(
            f"For {names} no difference from plain was shown, which does not mean that there is none."
        )
    return sentences + _limits(unshown, "not shown" if shown else "seen", settings)


def _without_plain(tests: list[Test], settings: dict[str, Any]) -> list[str]:
    shown = [test for test in tests if _shown(test, settings)]
    sentences = [
        "Whether any mechanism is worth its cost cannot be said: there is no finished run of plain (none) to "
        "compare with, only of the mechanisms with each other."
    ]
    for test in shown:
        high, low = (test["b"], test["a"]) if test["difference"] > 0 else (test["a"], test["b"])
        sentences.append(f"{high} is better than {low} by {_evidence(test)}.")
    if not shown:
        sentences.append("No mechanism was shown to differ from another.")
    unshown = [test for test in tests if test not in shown]
    return sentences + _limits(unshown, "not shown" if shown else "seen", settings)


def _untested(tests: list[Test], *, with_plain: bool) -> list[str]:
    if with_plain:
        tests = [test for test in tests if test["a"] == PLAIN]
    sentences = ["With one seed no test is possible: nobody can tell chance from effect yet."]
    seen = [test for test in tests if test["difference"] is not None]
    if seen:
        sentences.append(f"{_largest(seen, 'seen')[1]} Chance alone may have made it.")
    return [*sentences, "Run at least three seeds, better five, to have it tested."]


def _choice(better: list[Test], rows: dict[str, Row], tests: list[Test], settings: dict[str, Any]) -> str:
    """Take the cheapest of the better ones that could not be told apart from the best of them."""
    best = max(better, key=lambda test: test["difference"])["b"]
    if len(better) == 1:
        return f"Take {best} if its price suits you: it alone was shown to be better than plain."
    pairs = {frozenset((test["a"], test["b"])): test for test in tests}
    others = [test["b"] for test in better if test["b"] != best]
    tied = [label for label in others if not _shown(pairs[frozenset((label, best))], settings)]
    if not tied:
        return (
            f"Take {best} if its price suits you: it was shown to be better than plain, and than "
            f"{listing(others)}, which {'was' if len(others) == 1 else 'were'} better than plain, too."
        )
    cheapest = min([best, *tied], key=lambda label: _expense(rows[label]))
    if cheapest == best:
        return (
            f"Take {best} if its price suits you: of the {len(better)} mechanisms shown to be better than "
            f"plain it has the highest mean, and {listing(tied)}, which could not be told apart from it, cost"
            f"{'s' if len(tied) == 1 else ''} no less."
        )
    test = pairs[frozenset((cheapest, best))]
    limit = test["detectable_difference"]
    unseen = f"; under {_points(limit)} it would likely have gone unseen" if limit is not None else ""
    return (
        f"Take {cheapest} if its price suits you: it was shown to be better than plain, and it is the "
        f"cheapest of those that could not be told apart from the best, {best} (difference seen: "
        f"{_points(abs(test['difference']))}{unseen})."
    )


def _limits(unshown: list[Test], which: str, settings: dict[str, Any]) -> list[str]:
    """What was seen, what could have been detected, and how many seeds it would take."""
    sentences = []
    testable = [test for test in unshown if test["detectable_difference"] is not None]
    if testable:
        test, seen = _largest(testable, which)
        needed = test["seeds_needed"]
        among = settings["comparisons"]
        shared = f" shared by {among} comparisons" if among > 1 else ""
        sentences.append(
            f"{seen} With these {count(test['n'], 'seed')} only a difference of about "
            f"{_points(test['detectable_difference'])} or more would have been detected with "
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
            sentences.append(
                f"{pair} differ by the same {points(test['difference'])} points on each seed: without a "
                "spread no test of them is possible."
            )
    return sentences


def _shown(test: Test, settings: dict[str, Any]) -> bool:
    return test["p_adjusted"] is not None and test["p_adjusted"] < settings["alpha"]


def _largest(tests: list[Test], which: str) -> tuple[Test, str]:
    test = max(tests, key=lambda test: abs(test["difference"]))
    pair = f"{test['b']} against {display_name(test['a'])}"
    return test, f"The largest difference {which} is {points(test['difference'])} points ({pair})."


def _evidence(test: Test) -> str:
    sign = 1 if test["difference"] > 0 else -1
    bounds = sorted(sign * bound for bound in test["ci95"])
    return (
        f"{_points(abs(test['difference']))} of accuracy (95 % interval {interval(bounds, 2, scale=100)}; "
        f"adjusted p {'' if test['p_adjusted'] < 0.001 else '= '}{p_value(test['p_adjusted'])})"
    )


def _price(row: Row) -> str:
    changes = [
        _change(row[f"{measure}_increase_percent"], noun, fewer)
        for measure, noun, fewer in (
            ("parameters", "parameters", "fewer"),
            ("macs", "multiply-adds", "fewer"),
            ("latency", "latency", "less"),
        )
        if row[f"{measure}_increase_percent"] is not None
    ]
    return listing(changes) if changes else "not measured"


def _change(percent: float, noun: str, fewer: str) -> str:
    if abs(percent) < 0.05:
        return f"hardly any change in {noun}" if percent else f"no more {noun}"
    size = f"{abs(percent):.1f}" if abs(percent) < 99.95 else f"{abs(percent):.0f}"
    return f"{size} % {'more' if percent > 0 else fewer} {noun}"


def _expense(row: Row) -> tuple[float, ...]:
    """Latency first, for it is paid with every image; what was not measured counts as dearest."""
    measures = (row["latency_ms_p50"], row["macs"], row["parameters"])
    return tuple(math.inf if measure is None else measure for measure in measures)


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f} points"
