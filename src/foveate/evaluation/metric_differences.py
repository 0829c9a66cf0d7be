"""Differences of all metrics of a study, with intervals for new seeds on these images and on new images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.estimates import over_draws, over_seeds
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.resampling import DRAWS, drawn_metrics, pigeonhole_interval
from foveate.evaluation.statistics import paired_test
from foveate.evaluation.study_scores import ScoresOfRuns
from foveate.records.base import JsonObject
from foveate.records.metric import Metric
from foveate.records.scores import ImageScores
from foveate.records.study import StudyRecords

__all__ = ["MetricDifference", "metric_differences"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class MetricDifference:
    """The mean difference b - a of one metric, and 95 % intervals, each for itself.

    Attributes:
        metric: the metric.
        a: label of the first.
        b: label of the second.
        difference: mean over the seeds that both have finished.
        these_images: for new seeds on these images.
        new_images: for new seeds on new images, with the covariance of the seeds over draws of the images.
        pigeonhole: the same, by the pigeonhole bootstrap.
    """

    metric: Metric
    a: str
    b: str
    difference: float
    these_images: Interval | None
    new_images: Interval | None
    pigeonhole: Interval | None

    def to_json(self) -> JsonObject:
        """Return it as `--json` gives it."""
        return {**asdict(self), "metric": self.metric.name}


def metric_differences(
    records: StudyRecords, scores: ScoresOfRuns, comparisons: Sequence[Comparison], draws: int = DRAWS
) -> tuple[MetricDifference, ...]:
    """Return the difference of each metric in each different comparison, over the seeds that it has.

    Empty without scores of single images. Metrics that these scores do not have are not among them.

    Args:
        draws: of the images of a classification; other tasks have as many as `draws_for` says.
    """
    if scores.obstacle or not comparisons:
        return ()
    pairs = {(one.a, one.b): one.seeds for one in comparisons}
    drawn = _drawn(scores, len(records.study.data.classes), draws)
    names = next(iter(drawn.values())).keys()
    found = []
    for metric in records.study.task.metrics:
        if metric.name not in names:
            continue
        bounds = bounds_of(metric).of_differences
        for (a, b), seeds in pairs.items():
            before, after = ([records.results[x][seed].test.value(metric) for seed in seeds] for x in (a, b))
            test = paired_test(before, after, bounds_of(metric))
            if test.difference is None:
                continue
            values = list(np.subtract(after, before))
            these, new, pigeonhole = over_seeds(values, test.std), None, None
            if these is not None:
                of_draws = np.stack(
                    [drawn[b, seed][metric.name] - drawn[a, seed][metric.name] for seed in seeds], axis=1
                )
                new = over_draws(values, of_draws, scores.images)
                pigeonhole = pigeonhole_interval(of_draws, test.difference)
            found.append(
                MetricDifference(
                    metric,
                    a,
                    b,
                    test.difference,
                    these_images=these.interval(bounds) if these else None,
                    new_images=new.interval(bounds) if new else None,
                    pigeonhole=pigeonhole,
                )
            )
    return tuple(found)


def _drawn(scores: ScoresOfRuns, classes: int, draws: int) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """Return the metrics of each run on the same draws of the images, by label and seed."""
    keys = [(label, seed) for label, by_seed in scores.runs.items() for seed in by_seed]
    of_images = {
        (label, seed): one for label, seed in keys if isinstance(one := scores.runs[label][seed], ImageScores)
    }
    if of_images:
        return dict(zip(of_images, drawn_metrics(list(of_images.values()), classes, draws), strict=True))
    return {(label, seed): scores.drawn(label, seed) for label, seed in keys}
