"""Which of the mechanisms that are better than the baseline to take: the headline of a verdict."""

import math
from collections.abc import Mapping, Sequence

from foveate.evaluation.comparisons import Comparison
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.report.study.evidence import gain_of, listed
from foveate.report.study.summary import Price, SummaryRow

__all__ = ["choose"]

Tests = Sequence[Comparison]
Rows = Mapping[str, SummaryRow]


def choose(metric: Metric, better: Tests, rows: Rows, tests: Tests) -> str:
    """Take the cheapest of the better mechanisms that could not be told apart from the best of them.

    If mechanisms were not compared with each other, name both the cheapest and the best of the better ones.
    """
    best = max(better, key=gain_of).b
    take_best = f"Take {display_name(best)} if its price suits you"
    if len(better) == 1:
        return f"{take_best}: it alone was shown to be better than the baseline."
    pairs = {test.pair: test for test in tests}
    if not any(BASELINE not in pair for pair in pairs):
        return _choice_untested(metric, better, best, rows)
    others = [test.b for test in better if test.b != best]
    tied = [label for label in others if not pairs[frozenset((label, best))].is_significant]
    if not tied:
        return (
            f"{take_best}: it was shown to be better than the baseline, and than {listed(others)}, which "
            f"{'was' if len(others) == 1 else 'were'} better than the baseline, too."
        )
    cheapest = min([best, *tied], key=lambda label: _expense(rows[label].price))
    if cheapest == best:
        return (
            f"{take_best}: of the {len(better)} mechanisms shown to be better than the baseline it has the "
            f"{metric.superlative} mean, and {listed(tied)}, which could not be told apart from it, "
            f"cost{'s' if len(tied) == 1 else ''} no less."
        )
    test = pairs[frozenset((cheapest, best))]
    limit = test.detectable_difference
    unseen = (
        f"; under {metric.write_size(limit)} it would likely have gone unseen" if limit is not None else ""
    )
    return (
        f"Take {display_name(cheapest)} if its price suits you: it was shown to be better than the baseline, "
        f"and it is the cheapest of those that could not be told apart from the best, {display_name(best)} "
        f"(difference seen: {metric.write_size(test.test.difference or 0.0)}{unseen})."
    )


def _choice_untested(metric: Metric, better: Tests, best: str, rows: Rows) -> str:
    """Choose among the better mechanisms where they were compared with the baseline only."""
    cheapest = min([best, *(test.b for test in better)], key=lambda label: _expense(rows[label].price))
    best, cheapest, is_cheapest = display_name(best), display_name(cheapest), cheapest == best
    untested = "They were not compared with each other; --family all does that."
    shown = f"the {len(better)} mechanisms shown to be better than the baseline"
    if is_cheapest:
        return (
            f"Take {best} if its price suits you: of {shown} it has the {metric.superlative} mean, and none "
            f"costs less. {untested}"
        )
    return (
        f"Take {cheapest} or {best} if its price suits you: of {shown}, {cheapest} is the cheapest, and "
        f"{best} has the {metric.superlative} mean. {untested}"
    )


def _expense(price: Price) -> tuple[float, ...]:
    """Latency first, for it is paid with every image; what was not measured counts as the most expensive.

    Latencies are compared by their ratios to the baseline within rounds: the medians depend on the state of
    the machine, too.
    """
    measures = (price.latency_ratio, price.macs, price.parameters)
    return tuple(math.inf if measure is None else measure for measure in measures)
