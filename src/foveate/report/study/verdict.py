"""The verdict in sentences that a person can defend: what the tests have shown, and what they could not."""

import math
from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import contrast_name, count, listing, points
from foveate.report.study.evidence import Row, Test, evidence, in_points, is_shown, largest, limits, price

__all__ = ["verdict"]


def verdict(summary: dict[str, Any]) -> list[str]:
    """Say which mechanism is worth what, the headline first. "Not shown" is never "no effect"."""
    study = summary["study"]
    controls = {control["label"] for control in study["design"]["controls"]}
    rows = {row["attention"]: row for row in summary["rows"] if row["attention"] not in controls}
    tests = [test for test in summary["tests"] if not {test["a"], test["b"]} & controls]
    if not tests and len(rows) > 1:
        sentences = ["Nobody can tell yet: none of the planned comparisons has finished runs at both ends."]
    elif not tests:
        (only,) = rows
        sentences = [f"Only {display_name(only)} has finished runs, so there is nothing to compare it with."]
    elif all(test["n"] < 2 for test in tests):
        sentences = _untested(tests, with_plain=BASELINE in rows)
    elif study["design"]["contrasts"]:
        sentences = _over_contrasts(tests, study["design"], study["statistics"])
    elif study["design"]["kind"] == "networks":
        sentences = _between_networks(rows, tests, study["statistics"])
    elif BASELINE in rows:
        sentences = _against_plain(rows, tests, study["statistics"])
    else:
        sentences = _without_plain(tests, study["statistics"])
    sentences += [
        _control(control, summary["tests"], study["statistics"]) for control in study["design"]["controls"]
    ]
    asked = len(study["attention"]) * len(study["seeds"])
    absent = asked - sum(row["runs"] for row in summary["rows"])
    if absent:
        sentences.append(
            f"{absent} of the {count(asked, 'run')} {'is' if absent == 1 else 'are'} missing; "
            "this rests on the others."
        )
    if noise := study["cost"].get("noise"):
        sentences.append(
            f"Latencies were measured on a busy machine, and are rough: {noise[0]}. Give the command again "
            "when nothing else runs: they are measured anew."
        )
    sentences.append(
        f"This speaks for {study['backbone']} on {study['data']['name']} under this recipe. The intervals "
        "tell of chance between seeds, not of chance in the choice of the "
        f"{study['data']['test']} test images."
    )
    return sentences


def _against_plain(rows: dict[str, Row], tests: list[Test], settings: dict[str, Any]) -> list[str]:
    to_plain = [test for test in tests if test["a"] == BASELINE]
    shown = [test for test in to_plain if is_shown(test, settings)]
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
        f"{test['b']} is better than plain by {evidence(test)}; its price: {price(rows[test['b']])}."
        for test in sorted(better, key=lambda test: -test["difference"])
    ]
    sentences += [
        f"{test['b']} is worse than plain by {evidence(test)}."
        for test in sorted(worse, key=lambda test: test["difference"])
    ]
    if unshown and shown:
        names = listing([test["b"] for test in unshown])
        sentences.append(
            f"For {names} no difference from plain was shown, which does not mean that there is none."
        )
    return sentences + limits(unshown, "not shown" if shown else "seen", settings)


def _without_plain(tests: list[Test], settings: dict[str, Any]) -> list[str]:
    shown = [test for test in tests if is_shown(test, settings)]
    sentences = [
        "Whether any mechanism is worth its cost cannot be said: there is no finished run of plain (none) to "
        "compare with, only of the mechanisms with each other."
    ]
    for test in shown:
        high, low = (test["b"], test["a"]) if test["difference"] > 0 else (test["a"], test["b"])
        sentences.append(f"{high} is better than {low} by {evidence(test)}.")
    if not shown:
        sentences.append("No mechanism was shown to differ from another.")
    unshown = [test for test in tests if test not in shown]
    return sentences + limits(unshown, "not shown" if shown else "seen", settings)


def _between_networks(rows: dict[str, Row], tests: list[Test], settings: dict[str, Any]) -> list[str]:
    """Whole networks: which had the highest mean, and which could not be told apart from it."""
    best = max(rows.values(), key=lambda row: row["accuracy"]["mean"])["attention"]
    against = {test["a"] if test["b"] == best else test["b"]: test for test in tests if best in _pair(test)}
    tied = [label for label, test in against.items() if not is_shown(test, settings)]
    if not tied:
        headline = f"{best} is the most accurate: it was shown to be better than each of the others."
    else:
        headline = (
            f"{best} has the highest mean; {listing(tied)} could not be told apart from it, which does not "
            "mean that they are equal."
        )
    beaten = [test for label, test in against.items() if label not in tied]
    sentences = [
        f"{best} is better than {next(label for label in _pair(test) if label != best)} by {evidence(test)}."
        for test in beaten
    ]
    unshown = [against[label] for label in tied]
    return [headline, *sentences, *limits(unshown, "not shown" if beaten else "seen", settings)]


def _control(control: dict[str, Any], tests: list[Test], settings: dict[str, Any]) -> str:
    """Whether a mechanism differs from a plain backbone that was made as dear."""
    of, label = control["of"], control["label"]
    dear = {"parameters": "of as many parameters", "macs": "of as many multiply-adds", "latency": "as slow"}
    control_name = f"a plain backbone {dear[control['measure']]} ({label})"
    found = [test for test in tests if {of, label} == set(_pair(test)) and test["difference"] is not None]
    if not found:
        return f"{of} has no finished pair of runs with {control_name}."
    sign = 1 if found[0]["b"] == of else -1
    gain = sign * found[0]["difference"]
    if not is_shown(found[0], settings):
        return f"{of} was not shown to differ from {control_name}: {points(gain)} points were seen."
    if gain > 0:
        return f"{of} is better than {control_name} by {evidence(found[0])}: its gain is not just size."
    return f"{of} is worse than {control_name} by {evidence(found[0])}."


def _pair(test: Test) -> tuple[str, str]:
    return test["a"], test["b"]


def _over_contrasts(tests: list[Test], design: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """The comparisons that were planned: which showed a difference, and which did not."""
    of = {"ablate": f"part of {design['subject']}", "sweep": f"value of {design['subject']}'s options"}
    subject = of.get(design["kind"], "comparison")
    shown = [test for test in tests if is_shown(test, settings)]
    unshown = [test for test in tests if test not in shown]
    if shown:
        number = f"{len(shown)} of {count(len(tests), 'planned comparison')}"
        headline = f"{number} showed a difference; of the others nobody can tell yet."
        if not unshown:
            headline = f"All of the {count(len(tests), 'planned comparison')} showed a difference."
    else:
        headline = f"Nobody can tell yet: no {subject} was shown to make a difference."
    sentences = [
        f"{contrast_name(test)}: {_direction(test)} {evidence(test)}."
        for test in sorted(shown, key=lambda test: -abs(test["difference"]))
    ]
    return [headline, *sentences, *limits(unshown, "not shown" if shown else "seen", settings)]


def _direction(test: Test) -> str:
    return "a gain of" if test["difference"] > 0 else "a loss of"


def _untested(tests: list[Test], *, with_plain: bool) -> list[str]:
    if with_plain:
        tests = [test for test in tests if test["a"] == BASELINE]
    sentences = ["With one seed no test is possible: nobody can tell chance from effect yet."]
    seen = [test for test in tests if test["difference"] is not None]
    if seen:
        sentences.append(f"{largest(seen, 'seen')[1]} Chance alone may have made it.")
    return [*sentences, "Run at least three seeds, better five, to have it tested."]


def _choice(better: list[Test], rows: dict[str, Row], tests: list[Test], settings: dict[str, Any]) -> str:
    """Take the cheapest of the better ones that could not be told apart from the best of them."""
    best = max(better, key=lambda test: test["difference"])["b"]
    if len(better) == 1:
        return f"Take {best} if its price suits you: it alone was shown to be better than plain."
    pairs = {frozenset((test["a"], test["b"])): test for test in tests}
    others = [test["b"] for test in better if test["b"] != best]
    tied = [label for label in others if not is_shown(pairs[frozenset((label, best))], settings)]
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
    unseen = f"; under {in_points(limit)} it would likely have gone unseen" if limit is not None else ""
    return (
        f"Take {cheapest} if its price suits you: it was shown to be better than plain, and it is the "
        f"cheapest of those that could not be told apart from the best, {best} (difference seen: "
        f"{in_points(abs(test['difference']))}{unseen})."
    )


def _expense(row: Row) -> tuple[float, ...]:
    """Latency first, for it is paid with every image; what was not measured counts as dearest.

    Latencies are compared by their ratios to plain within rounds: medians are of the machine's states too.
    """
    measures = (row["latency_ratio"], row["macs"], row["parameters"])
    return tuple(math.inf if measure is None else measure for measure in measures)
