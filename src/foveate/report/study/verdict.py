"""The verdict in sentences that a person can defend: what the tests have shown, and what they could not."""

from collections.abc import Mapping, Sequence

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.significance import Outcome
from foveate.notation import count, listing
from foveate.records.design import Control
from foveate.records.labels import BASELINE, display_name, name_in_sentence
from foveate.records.metric import Metric
from foveate.report.core.notation import contrast_name
from foveate.report.study.choice import choose
from foveate.report.study.evidence import evidence, gain_of, largest, limits, listed, price
from foveate.report.study.looks import looks_sentences
from foveate.report.study.margins import (
    chance_sentence,
    equivalent_headline,
    margin_sentences,
    population_sentence,
    small_gain,
)
from foveate.report.study.paying import so_far_sentences
from foveate.report.study.summary import Summary, SummaryRow
from foveate.report.study.undertraining import chance_sentences, improvement_sentences

__all__ = ["verdict"]

CONTROL_SIZES = {
    "parameters": "of as many parameters",
    "macs": "of as many multiply-adds",
    "latency": "of as high a latency",
}
"""How a cost-matched control is described, by the cost in which it was matched."""

Tests = Sequence[Comparison]
Rows = Mapping[str, SummaryRow]


def verdict(summary: Summary) -> list[str]:
    """Say which candidate is worth its price, the headline first; "not shown" is never "no effect"."""
    controls = {control.label for control in summary.study.design.controls}
    rows = {row.attention: row for row in summary.rows if row.attention not in controls}
    tests = [test for test in summary.comparisons if not test.pair & controls]
    headline, *findings = _findings(summary, rows, tests)
    return [
        headline,
        *chance_sentences(summary),
        *improvement_sentences(summary),
        *findings,
        *looks_sentences(summary),
        *so_far_sentences(summary),
        *(_control(summary, control) for control in summary.study.design.controls),
        *_reservations(summary),
    ]


def _findings(summary: Summary, rows: Rows, tests: Tests) -> list[str]:
    """Choose the sentences by what was compared."""
    if not tests and len(rows) > 1:
        return ["Nobody can tell yet: none of the planned comparisons has finished runs at both ends."]
    if not rows:
        return ["Nobody can tell yet: only cost-matched controls have finished runs."]
    if not tests:
        (only,) = rows
        return [f"Only {name_in_sentence(only)} has finished runs, so there is nothing to compare it with."]
    if all(test.test.n < 2 for test in tests):
        return _one_seed(summary.metric, tests, has_baseline=BASELINE in rows)
    if summary.study.design.contrasts:
        return _over_contrasts(summary, tests)
    if summary.study.design.kind == "networks":
        return _between_networks(summary, rows, tests)
    if BASELINE in rows:
        return _against_baseline(summary, rows, tests)
    return _without_baseline(summary, tests)


def _reservations(summary: Summary) -> list[str]:
    """State what the verdict does not rest on: missing runs, rough latencies, other data and recipes."""
    study, sentences = summary.study, []
    asked = summary.asked
    absent = asked - sum(row.runs for row in summary.rows)
    if absent:
        sentences.append(
            f"{absent} of the {count(asked, 'run')} {'is' if absent == 1 else 'are'} missing; "
            "this rests on the others."
        )
    if summary.noise:
        sentences.append(
            f"Latencies were measured on a busy machine, and are rough: {summary.noise[0]}. Give the command "
            "again when nothing else runs: they are measured anew."
        )
    tuned = ", with learning rate and weight decay tuned for each candidate" if study.tuning else ""
    sentences.append(
        f"This speaks for {study.network} on {study.data.name} under this recipe{tuned}. "
        f"{population_sentence(summary)}"
    )
    return sentences


def _against_baseline(summary: Summary, rows: Rows, tests: Tests) -> list[str]:
    """Mechanisms against the backbone without attention: which to take, and at what price."""
    metric = summary.metric
    against = [test for test in tests if test.a == BASELINE]
    better = [test for test in against if test.outcome is Outcome.BETTER]
    worse = [test for test in against if test.outcome is Outcome.WORSE]
    same = [test for test in against if test.outcome is Outcome.EQUIVALENT]
    open_tests = [test for test in against if not test.outcome.is_decided]
    if better:
        headline = choose(metric, better, rows, tests)
    elif same and not worse:
        headline = equivalent_headline(metric, against)
    elif worse:
        headline = "No mechanism was shown to be better than the baseline."
    else:
        headline = "Nobody can tell yet: no mechanism was shown to differ from the baseline."
    sentences = [
        f"{display_name(test.b)} is better than the baseline by {evidence(metric, test)}; its price: "
        f"{price(rows[test.b].price)}.{small_gain(metric, test)}{chance_sentence(test)}"
        for test in sorted(better, key=gain_of, reverse=True)
    ]
    sentences += [
        f"{display_name(test.b)} is worse than the baseline by {evidence(metric, test)}."
        for test in sorted(worse, key=gain_of)
    ]
    sentences += margin_sentences(metric, against)
    if open_tests and (better or worse):
        names = listing([display_name(test.b) for test in open_tests])
        sentences.append(
            f"For {names} no difference from the baseline was shown, which does not mean that there is none."
        )
    return [headline, *sentences, *limits(summary, open_tests, _which(better or worse))]


def _without_baseline(summary: Summary, tests: Tests) -> list[str]:
    """Mechanisms against each other alone."""
    sentences = [
        "Whether any mechanism is worth its cost cannot be said: there is no finished run of the baseline "
        "to compare with, only of the mechanisms with each other."
    ]
    significant = [test for test in tests if test.is_significant]
    for test in significant:
        better, other = (test.b, test.a) if test.outcome is Outcome.BETTER else (test.a, test.b)
        sentences.append(_is_better(better, other, summary.metric, test))
    if not significant:
        sentences.append("No mechanism was shown to differ from another.")
    sentences += margin_sentences(summary.metric, tests)
    open_tests = [test for test in tests if not test.outcome.is_decided]
    return sentences + limits(summary, open_tests, _which(significant))


def _between_networks(summary: Summary, rows: Rows, tests: Tests) -> list[str]:
    """Whole networks: which has the best mean, and which could not be told apart from it."""
    metric = summary.metric
    best = max(rows.values(), key=lambda row: metric.sign * (row.scores[metric.name].mean or 0.0)).attention
    against = {test.a if test.b == best else test.b: test for test in tests if best in test.pair}
    tied = [label for label, test in against.items() if not test.is_significant]
    if all(_is_beaten(best, test) for test in against.values()):
        headline = (
            f"{display_name(best)} is {metric.best}: it was shown to be better than each of the others."
        )
    elif not tied:
        headline = (
            f"{display_name(best)} has the {metric.superlative} mean, but not on the seeds that others share "
            "with it."
        )
    else:
        headline = (
            f"{display_name(best)} has the {metric.superlative} mean; {listed(tied)} could not be told "
            "apart from it, which does not mean that they are equal."
        )
    decided = [label for label in against if label not in tied]
    sentences = []
    for label in decided:  # on the seeds that both have, where the best of the means may be the worse one
        better, other = (best, label) if _is_beaten(best, against[label]) else (label, best)
        sentences.append(_is_better(better, other, metric, against[label]))
    sentences += margin_sentences(metric, [against[label] for label in tied])
    unknown = [against[label] for label in tied if against[label].outcome is not Outcome.EQUIVALENT]
    return [headline, *sentences, *limits(summary, unknown, _which(decided))]


def _is_better(better: str, other: str, metric: Metric, test: Comparison) -> str:
    return f"{display_name(better)} is better than {display_name(other)} by {evidence(metric, test)}."


def _is_beaten(best: str, test: Comparison) -> bool:
    """Whether `best` is significantly better than the other candidate of `test`."""
    return test.outcome is (Outcome.BETTER if test.b == best else Outcome.WORSE)


def _over_contrasts(summary: Summary, tests: Tests) -> list[str]:
    """The comparisons that were planned: which showed a difference, and which did not."""
    metric, design = summary.metric, summary.study.design
    significant = [test for test in tests if test.is_significant]
    same = [test for test in tests if test.outcome is Outcome.EQUIVALENT]
    open_tests = [test for test in tests if not test.outcome.is_decided]
    planned = count(len(tests), "planned comparison")
    if not significant and same:
        rest = "; of the others nobody can tell yet" if open_tests else ""
        margin = metric.write_size(summary.margin or 0.0)
        headline = f"{len(same)} of {planned} made no practical difference (within ±{margin}){rest}."
    elif not significant:
        of = {"ablate": f"part of {design.subject}", "sweep": f"value of {design.subject}'s options"}
        subject = of.get(design.kind, "comparison")
        headline = f"Nobody can tell yet: no {subject} was shown to make a difference."
    elif open_tests or same:
        practical = f", {len(same)} no practical one" if same else ""
        rest = "; of the others nobody can tell yet" if open_tests else ""
        headline = f"{len(significant)} of {planned} showed a difference{practical}{rest}."
    else:
        headline = f"All of the {planned} showed a difference."
    sentences = [
        f"{contrast_name(test)}: a {'gain' if gain_of(test) > 0 else 'loss'} of {evidence(metric, test)}."
        for test in sorted(significant, key=lambda test: -abs(gain_of(test)))
    ]
    sentences += margin_sentences(metric, tests)
    return [headline, *sentences, *limits(summary, open_tests, _which(significant))]


def _one_seed(metric: Metric, tests: Tests, *, has_baseline: bool) -> list[str]:
    sentences = ["With one seed no test is possible: nobody can tell chance from effect yet."]
    seen = [
        test
        for test in tests
        if test.test.difference is not None and (test.a == BASELINE or not has_baseline)
    ]
    if seen:
        sentences.append(f"{largest(metric, seen, 'seen')[1]} Chance alone may have made it.")
    return [*sentences, "Run at least three seeds, better five, to have it tested."]


def _control(summary: Summary, control: Control) -> str:
    """Say whether a mechanism differs from its cost-matched control."""
    of, metric = control.of, summary.metric
    name = f"a baseline {CONTROL_SIZES[control.measure]} (cost-matched control {display_name(control.label)})"
    test = next((test for test in summary.comparisons if test.pair == {of, control.label}), None)
    if test is None or test.gain is None:
        return f"{of} has no finished pair of runs with {name}."
    gain = test.gain if test.b == of else -test.gain
    if test.outcome is Outcome.EQUIVALENT:
        margin = metric.write_size(test.margin or 0.0)
        return f"{of} is equivalent to {name} within ±{margin}: it is no better than its size."
    if not test.is_significant:
        difference = gain if metric.higher_is_better else -gain
        seen = metric.with_unit(metric.write_difference(difference))
        return f"{of} was not shown to differ from {name}: {seen} were seen."
    if gain > 0:
        return f"{of} is better than {name} by {evidence(metric, test)}: its gain is not just size."
    return f"{of} is worse than {name} by {evidence(metric, test)}."


def _which(significant: Sequence[object]) -> str:
    """Name the differences that are not significant, beside others that are or alone."""
    return "not shown" if significant else "seen"
