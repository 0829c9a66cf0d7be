"""The paired differences of the candidates that a study compares, and the estimates of their means."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from foveate.evaluation.estimates import Estimate, over_draws, over_seeds, over_seeds_and_images
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.statistics import PairedTest, paired_test
from foveate.evaluation.study_scores import ScoresOfRuns
from foveate.records.study import Population, StudyRecords

__all__ = ["Pair", "Sampled", "has_image_scores", "population_of", "sample_pair", "sample_pairs"]

Pair = tuple[str, str]
"""The labels a and b of a comparison b - a."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """The paired differences b - a of a comparison, and the estimates of their mean.

    Attributes:
        seeds: those that are used, of which both have finished runs.
        values: the difference of each of these seeds.
        test: the paired t-test over the seeds.
        these_images: the estimate for new seeds on these images; None without a spread.
        new_images: the estimate for new seeds on new images; None without a spread or without scores.
        has_images: whether there are scores of single images.
    """

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    test: PairedTest
    these_images: Estimate | None
    new_images: Estimate | None
    has_images: bool


def sample_pair(
    records: StudyRecords, scores: ScoresOfRuns | None, pair: Pair, seeds: Collection[int] | None = None
) -> Sampled:
    """Return the differences of a pair on `seeds`, by default on all that both have finished.

    New images are estimated from the differences of single images where the primary metric is their mean,
    and otherwise (mAP, mIoU) from its differences on draws of the images.

    Without `scores` of single images there is no estimate for new images.
    """
    metric, (a, b) = records.study.task.primary, pair
    shared = sorted(records.results[a].keys() & records.results[b].keys())
    used = [seed for seed in shared if seeds is None or seed in seeds]
    before, after = ([records.results[x][seed].test.value(metric) for seed in used] for x in pair)
    test = paired_test(before, after, bounds_of(metric))
    values = tuple(float(y - x) for x, y in zip(before, after, strict=True))
    by_image = scores.differences(metric, a, b, used) if scores else None
    by_draw = scores.drawn_differences(metric, a, b, used) if scores and by_image is None else None
    new_images = None
    if test.std and by_image is not None:
        new_images = over_seeds_and_images(by_image)
    elif test.std and scores is not None and by_draw is not None:
        new_images = over_draws(values, by_draw, scores.images)
    return Sampled(
        tuple(used),
        values,
        test,
        over_seeds(values, test.std),
        new_images,
        by_image is not None or by_draw is not None,
    )


def sample_pairs(
    records: StudyRecords,
    scores: ScoresOfRuns | None = None,
    seeds: Mapping[Pair, Collection[int]] | None = None,
) -> dict[Pair, Sampled]:
    """Return the differences of each different pair that the study compares, in the order of the plan.

    Args:
        scores: of single images; None without them.
        seeds: those to use of each pair, by default all that both have finished.
    """
    pairs = dict.fromkeys((pair.a, pair.b) for pair in records.study.design.pairs(records.finished))
    return {pair: sample_pair(records, scores, pair, seeds[pair] if seeds else None) for pair in pairs}


def population_of(records: StudyRecords, sampled: Mapping[Pair, Sampled]) -> Population:
    """Return what the verdict speaks of: these images where there are no scores of single images."""
    return records.study.statistics.rests_on if has_image_scores(sampled) else "these-images"


def has_image_scores(sampled: Mapping[Pair, Sampled]) -> bool:
    """Return whether all pairs that have runs have scores of single images."""
    with_runs = [one.has_images for one in sampled.values() if one.values]
    return bool(with_runs) and all(with_runs)
