"""The paired comparisons of a study's candidates in its primary metric."""

from dataclasses import asdict, dataclass

from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.significance import Outcome, outcome
from foveate.evaluation.statistics import (
    PairedTest,
    adjust_family,
    detectable_difference,
    paired_test,
    seeds_needed,
)
from foveate.records.base import JsonObject
from foveate.records.design import PlannedPair
from foveate.records.metric import Metric
from foveate.records.study import StudyRecords

__all__ = ["AdjustedTest", "Comparison", "compare_candidates", "make_comparison"]


@dataclass(frozen=True)
class AdjustedTest:
    """A paired test, its p value adjusted for its family, and its outcome."""

    test: PairedTest
    p_adjusted: float | None
    outcome: Outcome

    @property
    def is_significant(self) -> bool:
        """Whether the difference counts as significant."""
        return self.outcome in (Outcome.BETTER, Outcome.WORSE)

    def to_json(self) -> JsonObject:
        """Return the test as `--json` gives it."""
        return {**asdict(self.test), "p_adjusted": self.p_adjusted}


@dataclass(frozen=True)
class Comparison(AdjustedTest):
    """A paired comparison of candidate b with candidate a over the seeds that both have finished.

    Attributes:
        a: label of the first.
        b: label of the second.
        title: what a planned difference is of; None of a comparison that was not planned.
        group: the group of a planned comparison.
        test: of b - a in the primary metric.
        p_adjusted: adjusted for all comparisons of the study.
        detectable_difference: the smallest true difference that these seeds detect.
        seeds_needed: to detect a true difference as large as the one seen.
        outcome: of b against a, by the adjusted p value, in the direction of the metric.
        gain: the difference, positive where b is the better one.
    """

    a: str
    b: str
    title: str | None
    group: str | None
    detectable_difference: float | None
    seeds_needed: int | None
    gain: float | None

    @property
    def pair(self) -> frozenset[str]:
        """Both labels."""
        return frozenset((self.a, self.b))

    def to_json(self) -> JsonObject:
        """Return the comparison as `--json` gives it."""
        planned = {"title": self.title, "group": self.group} if self.title is not None else {}
        return {
            "a": self.a,
            "b": self.b,
            **planned,
            **super().to_json(),
            "detectable_difference": self.detectable_difference,
            "seeds_needed": self.seeds_needed,
        }


def make_comparison(
    pair: PlannedPair,
    test: PairedTest,
    p_adjusted: float | None,
    metric: Metric,
    alpha: float,
    *,
    detectable_difference: float | None,
    seeds_needed: int | None,
) -> Comparison:
    """Return the comparison of `pair` with its outcome and its gain in the direction of `metric`."""
    return Comparison(
        **pair._asdict(),
        test=test,
        p_adjusted=p_adjusted,
        detectable_difference=detectable_difference,
        seeds_needed=seeds_needed,
        outcome=outcome(test.difference, p_adjusted, alpha, higher_is_better=metric.higher_is_better),
        gain=None if test.difference is None else metric.sign * test.difference,
    )


def compare_candidates(records: StudyRecords) -> tuple[Comparison, ...]:
    """Make the planned comparisons of a study, of the candidates that have finished runs.

    Each different pair is tested once, and the p values are adjusted for their number. What could have been
    detected is computed at the level that the smallest p value of this family must pass.
    """
    metric, settings = records.study.task.primary, records.study.statistics
    planned = records.study.design.pairs(records.finished)
    pairs = list(dict.fromkeys((pair.a, pair.b) for pair in planned))
    alpha = settings.alpha / max(len(pairs), 1)
    tests = {}
    for a, b in pairs:
        seeds = sorted(records.results[a].keys() & records.results[b].keys())
        before, after = ([records.results[x][seed].test.value(metric) for seed in seeds] for x in (a, b))
        tests[a, b] = paired_test(before, after, bounds_of(metric))
    adjusted = dict(zip(pairs, adjust_family([*tests.values()], settings.adjust), strict=True))
    return tuple(
        make_comparison(
            pair,
            test := tests[pair.a, pair.b],
            adjusted[pair.a, pair.b],
            metric,
            settings.alpha,
            detectable_difference=detectable_difference(test.std, test.n, alpha, settings.power),
            seeds_needed=seeds_needed(test.difference, test.std, alpha, settings.power),
        )
        for pair in planned
    )
