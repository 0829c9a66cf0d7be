"""The looks at a study that adds seeds until it is decided: replayed from its records, from the first one on.

A look uses the first seeds of the plan, so that what was decided, when, and what comes next depends on the
records alone. A study that was killed goes on to the same decision.
"""

from dataclasses import asdict, dataclass

from foveate.evaluation.estimates import Estimate
from foveate.evaluation.inference import Inference, infer_family, outcome_word
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.repeated import RepeatedTests
from foveate.evaluation.sampled import Pair, Sampled, population_of, sample_pair, sample_pairs
from foveate.evaluation.significance import Outcome
from foveate.evaluation.study_scores import ScoresOfRuns
from foveate.records.base import JsonObject
from foveate.records.sequential import Level
from foveate.records.study import StudyDescription, StudyRecords

__all__ = ["Course", "PlannedLook", "repeated_tests", "replay"]


@dataclass(frozen=True)
class PlannedLook:
    """A comparison at one look.

    Attributes:
        pairs: of runs.
        difference: the mean of b - a.
        interval: of the true difference; those of all looks hold together, for all comparisons, with a chance
            of 1 - alpha (repeated confidence intervals: Jennison and Turnbull, J. R. Stat. Soc. B 51, 1989).
            None where the level is 0, or without a spread.
        p: of no difference.
        equivalence_p: of a true difference of the margin or more.
        level: the nominal p values that decide.
        image_variance: the part of the squared standard error that more seeds do not reduce.
        outcome: of b against a.
    """

    pairs: int
    difference: float
    interval: tuple[float, float] | None
    p: float | None
    equivalence_p: float | None
    level: Level
    image_variance: float
    outcome: Outcome

    @property
    def is_decided(self) -> bool:
        """Whether the comparison is decided at this look."""
        return self.outcome.is_decided

    def to_json(self) -> JsonObject:
        """Return the look as `--json` gives it."""
        content = asdict(self)
        del content["level"]
        return content | {
            "level_different": self.level.different,
            "level_equivalent": self.level.equivalent,
            "outcome": outcome_word(self.outcome),
        }


@dataclass(frozen=True)
class Course:
    """A comparison from its first look on.

    Attributes:
        a: label of the first candidate.
        b: label of the second.
        looks: those that were made, up to the one that decided.
        seeds: of the runs at the last look; before the first one, those that both have finished.
    """

    a: str
    b: str
    looks: tuple[PlannedLook, ...]
    seeds: tuple[int, ...]

    @property
    def outcome(self) -> Outcome:
        """What the last look came to."""
        return self.looks[-1].outcome if self.looks else Outcome.INCONCLUSIVE

    @property
    def is_decided(self) -> bool:
        """Whether the last look decided the comparison."""
        return self.outcome.is_decided

    def to_json(self) -> JsonObject:
        """Return the course as `--json` gives it."""
        return {
            "a": self.a,
            "b": self.b,
            "outcome": outcome_word(self.outcome),
            "decided_at": self.looks[-1].pairs if self.is_decided else None,
            "looks": [look.to_json() for look in self.looks],
        }


def replay(
    records: StudyRecords, scores: ScoresOfRuns | None = None, *, seeds: int | None = None
) -> dict[Pair, Course]:
    """Return the course of each comparison that has finished runs, look by look.

    A comparison is looked at when it has a pair of runs more than before, and at least as many as were
    planned for the first look: a run that failed makes no pair.

    Args:
        scores: of single images; None without them.
        seeds: looks with at most so many seeds of the plan; by default with all of them.
    """
    plan = records.study.sequential
    if plan is None:
        raise ValueError("the study was not planned look by look")
    all_pairs = sample_pairs(records, scores)
    population = population_of(records, all_pairs)
    courses = {}
    for a, b in all_pairs:
        looks: list[PlannedLook] = []
        shared = records.results[a].keys() & records.results[b].keys()
        used = tuple(seed for seed in plan.seeds[: plan.first] if seed in shared)
        for number in range(plan.first, (seeds or plan.max_seeds) + 1):
            now = tuple(seed for seed in plan.seeds[:number] if seed in shared)
            level = plan.level(len(now))
            if level is None or (looks and len(now) == looks[-1].pairs):
                continue
            used = now
            sampled = sample_pair(records, scores, (a, b), now)
            looks.append(_look(records.study, sampled, population == "new-images", level))
            if looks[-1].is_decided:
                break
        courses[a, b] = Course(a, b, tuple(looks), used)
    return courses


def _look(study: StudyDescription, sampled: Sampled, on_new_images: bool, level: Level) -> PlannedLook:
    metric, settings = study.task.primary, study.statistics
    estimate = sampled.new_images if on_new_images else sampled.these_images
    found = _infer(study, sampled, estimate, level)
    margin = settings.margin_for(metric)
    return PlannedLook(
        pairs=sampled.test.n,
        difference=sampled.test.difference or 0.0,
        interval=(
            estimate.interval(bounds_of(metric).of_differences, level=1 - float(level.different))
            if estimate and level.different
            else None
        ),
        p=found.p,
        equivalence_p=estimate.p_within(margin) if estimate and margin is not None else None,
        level=level,
        image_variance=estimate.image_variance if estimate else 0.0,
        outcome=found.outcome,
    )


def _infer(study: StudyDescription, sampled: Sampled, estimate: Estimate | None, level: Level) -> Inference:
    settings, metric = study.statistics, study.task.primary
    (found,) = infer_family(
        [(sampled.test, estimate)],
        settings.rests_on,
        metric,
        settings.margin_for(metric),
        settings.alpha,
        settings.adjust,
        [RepeatedTests(is_planned=True, level=level)],
    )
    return found


def repeated_tests(study: StudyDescription, pair: Pair, pairs: int, course: Course | None) -> RepeatedTests:
    """Return the looks at a comparison of so many pairs of runs; `course` is that of a planned study."""
    if study.sequential is not None:
        return RepeatedTests(
            is_planned=True, level=course.looks[-1].level if course and course.looks else None
        )
    earlier = study.looks.of(*pair, now=pairs) if study.looks else ()
    return RepeatedTests(looks=(*earlier, pairs))
