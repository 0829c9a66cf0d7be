"""The trajectories of a study's candidates against its baseline, from the records of its runs."""

from collections.abc import Mapping

from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.trajectories import Trajectory, trajectory
from foveate.records.labels import BASELINE
from foveate.records.metric import Metric
from foveate.records.run import RunRecord
from foveate.records.study import StudyRecords

__all__ = ["trajectories_of"]

Runs = Mapping[int, RunRecord]
"""The runs of a candidate by their seeds."""


def trajectories_of(records: StudyRecords) -> dict[str, Trajectory]:
    """Return the trajectory of each candidate that shares a seed with the baseline, by its label.

    Cost-matched controls have none: they are compared with their own mechanism. Runs may have ended early:
    the epochs are those that all paired runs of both candidates have.
    """
    controls = {control.label for control in records.study.design.controls}
    metric, baseline = records.study.task.primary, records.results.get(BASELINE, {})
    found = {
        label: _trajectory(baseline, records.results[label], metric)
        for label in records.finished
        if label != BASELINE and label not in controls
    }
    return {label: one for label, one in found.items() if one is not None}


def _trajectory(baseline: Runs, candidate: Runs, metric: Metric) -> Trajectory | None:
    seeds = sorted(baseline.keys() & candidate.keys())
    values = [
        [{epoch.epoch: epoch.validation(metric) for epoch in runs[seed].epochs} for seed in seeds]
        for runs in (baseline, candidate)
    ]
    by_epoch = [of_run for of_runs in values for of_run in of_runs]
    epochs = sorted(set.intersection(*(set(of_run) for of_run in by_epoch))) if by_epoch else []
    if not epochs:
        return None
    a, b = ([[of_run[epoch] for epoch in epochs] for of_run in of_runs] for of_runs in values)
    longest = max(map(len, by_epoch))
    return trajectory(a, b, epochs, sign=metric.sign, bounds=bounds_of(metric), longest=longest)
