"""Sentences about the margin, and about what intervals and tests speak of."""

from collections.abc import Sequence

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.significance import Outcome
from foveate.notation import chance, count, listing
from foveate.records.labels import display_name, name_in_sentence
from foveate.records.metric import Metric
from foveate.report.core.notation import contrast_name, p_equation
from foveate.report.study.summary import Summary

__all__ = [
    "chance_sentence",
    "equivalent_headline",
    "margin_sentences",
    "population_sentence",
    "small_gain",
    "within_margin",
]


def within_margin(metric: Metric, test: Comparison) -> str:
    """Say that a comparison is equivalent, with its evidence."""
    subject, against = _subject(test)
    return (
        f"{subject} is equivalent to {against} within ±{metric.write_size(test.margin or 0.0)} of "
        f"{metric.noun}: {metric.with_unit(metric.write_difference(test.test.difference))} were seen "
        f"({_evidence(metric, test)})."
    )


def margin_sentences(metric: Metric, tests: Sequence[Comparison]) -> list[str]:
    """Say which comparisons are equivalent, and which others have a gain that is under the margin."""
    sentences = [within_margin(metric, test) for test in tests if test.outcome is Outcome.EQUIVALENT]
    small = [
        test
        for test in tests
        if test.is_gain_under_margin and test.outcome in (Outcome.INCONCLUSIVE, Outcome.UNTESTED)
    ]
    if small:
        margin = metric.write_size(small[0].margin or 0.0)
        names = listing([_subject(test)[0] for test in small])
        against = {_subject(test)[1] for test in small}
        over = f" over {against.pop()}" if len(against) == 1 else ""
        gains = "gain" if len(small) > 1 else "gains"
        sentences.append(
            f"Whatever {names} {gains}{over} is under {margin} (one-sided test at the same level)."
        )
    return sentences


def small_gain(metric: Metric, test: Comparison) -> str:
    """Say of a mechanism that is better that its gain is under the margin; "" if that was not shown."""
    if not test.is_gain_under_margin:
        return ""
    return f" The gain was also shown to be under the margin of {metric.write_size(test.margin or 0.0)}."


def equivalent_headline(metric: Metric, tests: Sequence[Comparison]) -> str:
    """Say in the headline which mechanisms are equivalent to the baseline, where none is better or worse."""
    margin = metric.write_size(next(test.margin or 0.0 for test in tests))
    same = [display_name(test.b) for test in tests if test.outcome is Outcome.EQUIVALENT]
    unknown = [display_name(test.b) for test in tests if test.outcome is not Outcome.EQUIVALENT]
    verb = "is" if len(same) == 1 else "are"
    headline = f"{listing(same)} {verb} practically the same as the baseline (within ±{margin})"
    if not unknown:
        return f"Nothing here is worth a price: {headline}."
    return f"{headline}; of {listing(unknown)} nobody can tell yet."


def chance_sentence(test: Comparison) -> str:
    """Say how often the better one would win with a new seed."""
    found = test.improvement
    if found is None:
        return ""
    low, high = map(chance, found.ci95)
    interval = f" (95 % interval {low} to {high} %)" if low != high else ""
    return (
        f" With a new seed it would beat {name_in_sentence(test.a)} with an estimated chance of "
        f"{chance(found.probability)} %{interval}."
    )


def population_sentence(summary: Summary) -> str:
    """Say what intervals and tests speak of: new seeds, and new images if single images were scored."""
    images = count(summary.study.data.test, "test image")
    if not any(test.test.p is not None for test in summary.comparisons):
        return ""
    if summary.rests_on == "new-images":
        return (
            "Intervals and tests speak of new seeds on new images of this kind: they hold the chance between "
            f"seeds and the chance in the choice of the {images}."
        )
    why = "" if summary.scores_obstacle is None else f" ({summary.scores_obstacle})"
    return f"The intervals tell of chance between seeds, not of chance in the choice of the {images}{why}."


def _subject(test: Comparison) -> tuple[str, str]:
    if test.title is not None:
        return f"{contrast_name(test)}: {display_name(test.b)}", name_in_sentence(test.a)
    return display_name(test.b), name_in_sentence(test.a)


def _evidence(metric: Metric, test: Comparison) -> str:
    basis = test.basis
    p = basis.equivalence_p if basis else None
    tested = f"; two one-sided tests, adjusted {p_equation(p)}" if p is not None else ""
    return f"95 % interval {metric.write_interval(test.test.ci95)}{tested}"
