"""`foveate plan --until-decided`: how many seeds a study will probably take until it is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foveate.errors import RequestError, WorkError
from foveate.evaluation.deciding import Boundary, expect_seeds
from foveate.evaluation.sampled import sample_pairs
from foveate.evaluation.statistics import pooled_std
from foveate.evaluation.study_scores import read_study_scores
from foveate.records.plan import Detectable, ExpectedSeeds
from foveate.records.study import StudyRecord, read_study
from foveate.studies.engine.family import statistics_of
from foveate.studies.engine.looks import plan_looks
from foveate.studies.engine.remaining import seconds_together
from foveate.studies.spec.study import StudySpec
from foveate.tasks import find_task

__all__ = ["MeasuredSpread", "expected_seeds", "measured_spread"]

ASSUMED = (0.0, 2.0)
"""True differences that are assumed, in margins: none, and a plain one."""


@dataclass(frozen=True)
class MeasuredSpread:
    """What the finished runs of a study tell of its differences.

    Attributes:
        std: pooled standard deviation between seeds.
        image_variance: mean part of the squared standard errors that more seeds do not reduce; 0 if the
            verdict speaks of these images.
    """

    std: float
    image_variance: float


def measured_spread(out: Path) -> MeasuredSpread | None:
    """Read the spread of the finished runs in `out`; None if there are not enough of them."""
    try:
        records = read_study(out)
    except (RequestError, WorkError):
        return None  # no study yet, or no finished run
    sampled = sample_pairs(records, read_study_scores(records))
    std = pooled_std([(one.test.std, one.test.n) for one in sampled.values() if one.test.std])
    if std is None:
        return None
    found = [one.new_images.image_variance for one in sampled.values() if one.new_images]
    on_new_images = records.study.statistics.rests_on == "new-images" and found
    return MeasuredSpread(std, sum(found) / len(found) if on_new_images else 0.0)


def expected_seeds(
    study: StudySpec,
    whole: StudySpec,
    there: StudyRecord | None,
    out: Path,
    measured: MeasuredSpread | None,
    spreads: Sequence[Detectable],
    seconds: Mapping[str, float],
    jobs: int,
) -> tuple[ExpectedSeeds, ...]:
    """Simulate how many seeds a comparison of `study` takes, for each of the spreads.

    Args:
        study: as it is asked for.
        whole: together with that of the folder.
        there: the record of the study in the folder.
        out: the folder.
        measured: what its finished runs tell, if they were asked.
        spreads: between seeds.
        seconds: of a run of each candidate, by label.
        jobs: runs at a time.
    """
    statistics = statistics_of(study, out)
    plan = plan_looks(study, whole, statistics, there)
    metric = find_task(study.task).record.primary
    margin = statistics.margin_for(metric)
    if plan is None or margin is None:
        return ()
    boundary = Boundary(
        looks=tuple(level.pairs for level in plan.levels),
        different=tuple(float(level.different) for level in plan.levels),
        equivalent=tuple(float(level.equivalent) for level in plan.levels),
    )
    rows = []
    for row in spreads:
        of_images = measured.image_variance if measured and row.measured else 0.0
        found = expect_seeds(
            float(row.spread), margin, boundary, [one * margin for one in ASSUMED], image_variance=of_images
        )
        rows += [
            ExpectedSeeds(
                spread=row.spread,
                measured=row.measured,
                margin=margin,
                image_error=of_images**0.5,
                difference=one.difference,
                median=one.median,
                low=one.low,
                high=one.high,
                max_seeds=plan.max_seeds,
                decided=one.decided,
                seconds=seconds_together([*seconds.values()] * one.median, jobs),
            )
            for one in found
        ]
    return tuple(rows)
