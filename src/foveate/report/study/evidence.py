"""The sentences that verdicts are made of: what tests found, what they could detect, what a gain costs."""

from collections.abc import Sequence

from foveate.evaluation.comparisons import Comparison
from foveate.notation import count, listing
from foveate.records.labels import display_name, name_in_sentence
from foveate.records.metric import Metric
from foveate.report.core.notation import NO_SPREAD, contrast_name, p_equation
from foveate.report.study.summary import Price, Summary

__all__ = ["evidence", "gain_of", "largest", "limits", "listed", "price"]

MANY_SEEDS = 100
"""A larger number of seeds is not stated: nobody trains that many."""


def gain_of(test: Comparison) -> float:
    """Return the gain of a comparison, by which comparisons are ordered; 0 without one."""
    return test.gain or 0.0


def listed(labels: Sequence[str]) -> str:
    """List candidates by the names that a person reads."""
    return listing([*map(display_name, labels)])


def limits(summary: Summary, open_tests: Sequence[Comparison], which: str) -> list[str]:
    """Say of comparisons that are not significant what was seen, what would have been detected, and when.

    Args:
        open_tests: the comparisons.
        which: which differences they are, "not shown" or "seen".
    """
    metric, settings = summary.metric, summary.study.statistics
    sentences = []
    testable = [test for test in open_tests if test.detectable_difference is not None]
    if testable:
        untested = [test for test in open_tests if test.detectable_difference is None]
        if max(map(_size, untested), default=0.0) > max(map(_size, testable)):
            which = f"{which} that could be tested"
        test, seen = largest(metric, testable, which)
        shared = f" shared by {summary.family} comparisons" if summary.family > 1 else ""
        limit = test.detectable_difference or 0.0
        could = (
            f"only a difference of about {metric.write_size(limit)} or more"
            if metric.can_differ_by(limit)
            else "no difference"
        )
        sentences.append(
            f"{seen} With these {count(test.test.n, 'seed')} {could} would have been detected with "
            f"{100 * settings.power:g} % chance, at a level of {100 * settings.alpha:g} %{shared}."
        )
        needed = test.seeds_needed
        if needed is None and test.population == "new-images" and test.test.difference:
            sentences.append(
                f"No number of seeds shows a difference as small as the one seen on these "
                f"{count(summary.study.data.test, 'test image')}: that takes more of them."
            )
        if needed is not None:
            number = f"more than {MANY_SEEDS}" if needed > MANY_SEEDS else f"about {needed}"
            sentences.append(f"To detect a true difference as large as the one seen takes {number} seeds.")
    for test in open_tests:
        a, b = name_in_sentence(test.a), name_in_sentence(test.b)
        if test.test.n < 2:
            shared = count(test.test.n, "seed")
            sentences.append(f"No test of {b} against {a} is possible: they share {shared}.")
        elif test.test.p is None:
            sentences.append(f"The difference of {b} from {a} is {_signed(metric, test)}, {NO_SPREAD}.")
    return sentences


def largest(metric: Metric, tests: Sequence[Comparison], which: str) -> tuple[Comparison, str]:
    """Return the comparison with the largest difference, and a sentence that states it."""
    test = max(tests, key=_size)
    name = (
        f"{display_name(test.b)} against {name_in_sentence(test.a)}"
        if test.title is None
        else contrast_name(test)
    )
    return test, f"The largest difference {which} is {_signed(metric, test)} ({name})."


def _size(test: Comparison) -> float:
    return abs(test.test.difference or 0.0)


def evidence(metric: Metric, test: Comparison) -> str:
    """State the size of a significant difference, without its sign, with its interval and its p value."""
    difference, p = test.test.difference or 0.0, test.p_adjusted or 0.0
    bounds = sorted(bound if difference > 0 else -bound for bound in test.test.ci95 or ())
    return (
        f"{metric.write_size(difference)} of {metric.noun} (95 % interval {metric.write_interval(bounds)}; "
        f"adjusted {p_equation(p)})"
    )


def price(price: Price) -> str:
    """State what a candidate costs relative to the baseline."""
    latency = _change(price.latency_increase_percent, "latency", "less")
    if latency and not price.is_latency_significant:
        latency = "no latency that was shown to differ"
    changes = [
        _change(price.parameters_increase_percent, "parameters", "fewer"),
        _change(price.macs_increase_percent, "multiply-adds", "fewer"),
        latency,
    ]
    measured = [change for change in changes if change]
    return listing(measured) if measured else "not measured"


def _change(percent: float | None, noun: str, fewer: str) -> str:
    if percent is None:
        return ""
    if abs(percent) < 0.05:
        return f"hardly any change in {noun}" if percent else f"no more {noun}"
    size = f"{abs(percent):.1f}" if abs(percent) < 99.95 else f"{abs(percent):.0f}"
    return f"{size} % {'more' if percent > 0 else fewer} {noun}"


def _signed(metric: Metric, test: Comparison) -> str:
    return metric.with_unit(metric.write_difference(test.test.difference))
