"""The paired comparisons of a study's candidates in its primary metric."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from foveate.evaluation.improvement import Improvement, chance_of_improvement
from foveate.evaluation.inference import Inference, infer_family, outcome_word
from foveate.evaluation.looks import Course, repeated_tests, replay
from foveate.evaluation.power import detectable_difference, seeds_needed
from foveate.evaluation.sampled import Pair, has_image_scores, population_of, sample_pairs
from foveate.evaluation.significance import Outcome, outcome
from foveate.evaluation.statistics import PairedTest
from foveate.evaluation.study_scores import ScoresOfRuns
from foveate.records.base import JsonObject
from foveate.records.design import PlannedPair
from foveate.records.metric import Metric
from foveate.records.study import Population, StudyRecords

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
        return self.outcome.is_difference

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
        test: of b - a in the primary metric; its p and its interval are those of the verdict's population.
        p_adjusted: adjusted for all comparisons of the study.
        detectable_difference: the smallest true difference that these seeds detect.
        seeds_needed: to detect a true difference as large as the one seen.
        outcome: of b against a, by the adjusted p value, in the direction of the metric.
        gain: the difference, positive where b is the better one.
        margin: what counts as practically the same, in the unit of the metric; None without one.
        these_images: for new seeds on these images; None in summaries of earlier versions.
        new_images: for new seeds on new images; None without scores of single images.
        improvement: the chance that b is better with a new seed.
        seeds: those that are compared; empty in summaries that were read from their JSON.
    """

    a: str
    b: str
    title: str | None
    group: str | None
    detectable_difference: float | None
    seeds_needed: int | None
    gain: float | None
    margin: float | None = None
    these_images: Inference | None = None
    new_images: Inference | None = None
    population: Population = "these-images"
    improvement: Improvement | None = None
    seeds: tuple[int, ...] = ()

    @property
    def pair(self) -> frozenset[str]:
        """Both labels."""
        return frozenset((self.a, self.b))

    @property
    def basis(self) -> Inference | None:
        """The inference that the verdict rests on."""
        return self.new_images if self.population == "new-images" else self.these_images

    @property
    def is_gain_under_margin(self) -> bool:
        """Whether b was shown not to be better than a by the margin or more."""
        return self.basis is not None and self.basis.is_gain_under_margin

    def to_json(self) -> JsonObject:
        """Return the comparison as `--json` gives it."""
        planned = {"title": self.title, "group": self.group} if self.title is not None else {}
        content = {
            "a": self.a,
            "b": self.b,
            **planned,
            **super().to_json(),
            "detectable_difference": self.detectable_difference,
            "seeds_needed": self.seeds_needed,
        }
        if self.these_images is None:  # a summary of an earlier version
            return content
        return content | {
            "outcome": outcome_word(self.outcome),
            "margin": self.margin,
            "gain_is_under_margin": self.is_gain_under_margin,
            "population": self.population,
            "these_images": self.these_images.to_json(),
            "new_images": self.new_images.to_json() if self.new_images else None,
            "improvement": asdict(self.improvement) if self.improvement else None,
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
    """Return the comparison of `pair` with its outcome and its gain in the direction of `metric`.

    It has no margin, and speaks of one population only: that is what earlier versions gave.
    """
    return Comparison(
        **pair._asdict(),
        test=test,
        p_adjusted=p_adjusted,
        detectable_difference=detectable_difference,
        seeds_needed=seeds_needed,
        outcome=outcome(test.difference, p_adjusted, alpha, higher_is_better=metric.higher_is_better),
        gain=None if test.difference is None else metric.sign * test.difference,
    )


def compare_candidates(
    records: StudyRecords, scores: ScoresOfRuns | None = None, courses: Mapping[Pair, Course] | None = None
) -> tuple[Comparison, ...]:
    """Make the planned comparisons of a study, of the candidates that have finished runs.

    Each different pair is tested once, and the p values are adjusted for their number. What could have been
    detected is computed at the level that the smallest p value of this family must pass. The verdict rests on
    the study's population, and on these images where there are no scores of single images.

    In a study that was planned look by look, a comparison has the runs of its last look, that at which it was
    decided if it is. `courses` are those of such a study, if they are known (see
    `foveate.evaluation.looks.replay`).
    """
    metric, settings = records.study.task.primary, records.study.statistics
    margin = settings.margin_for(metric)
    if courses is None:
        courses = replay(records, scores) if records.study.sequential else {}
    sampled = sample_pairs(records, scores, {pair: course.seeds for pair, course in courses.items()})
    repeated = [
        repeated_tests(records.study, pair, one.test.n, courses.get(pair)) for pair, one in sampled.items()
    ]
    alpha = settings.alpha / max(len(sampled), 1)
    population = population_of(records, sampled)

    def infer(of: Population) -> dict[tuple[str, str], Inference]:
        estimates = [
            (one.test, one.new_images if of == "new-images" else one.these_images) for one in sampled.values()
        ]
        found = infer_family(estimates, of, metric, margin, settings.alpha, settings.adjust, repeated)
        return dict(zip(sampled, found, strict=True))

    these = infer("these-images")
    new = infer("new-images") if has_image_scores(sampled) else {}
    comparisons = {}
    for pair, one in sampled.items():
        basis = new[pair] if population == "new-images" else these[pair]
        variance = one.new_images.image_variance if population == "new-images" and one.new_images else 0.0
        test = replace(one.test, ci95=basis.ci95, p=basis.p)
        gains = [metric.sign * value for value in one.values]
        comparisons[pair] = Comparison(
            test=test,
            p_adjusted=basis.p_adjusted,
            outcome=basis.outcome,
            a=pair[0],
            b=pair[1],
            title=None,
            group=None,
            detectable_difference=detectable_difference(
                test.std, test.n, alpha, settings.power, image_variance=variance
            ),
            seeds_needed=seeds_needed(
                test.difference, test.std, alpha, settings.power, image_variance=variance
            ),
            gain=float(np.mean(gains)) if gains else None,
            margin=margin,
            these_images=these[pair],
            new_images=new.get(pair),
            population=population,
            improvement=chance_of_improvement(gains, one.test.std),
            seeds=one.seeds,
        )
    return tuple(
        replace(comparisons[pair.a, pair.b], title=pair.title, group=pair.group)
        for pair in records.study.design.pairs(records.finished)
    )
