"""The record that `foveate plan --json` writes: what the runs of a study take, and what they could detect."""

from foveate.records.base import Count, Json, Number, Record, Switch, Text
from foveate.records.design import Tested
from foveate.records.study import StudyData

__all__ = ["Detectable", "Disk", "Plan", "PlannedCandidate"]


class PlannedCandidate(Record):
    """What the runs of one candidate take.

    Attributes:
        attention: its label.
        parameters: learned numbers of its network.
        state_bytes: bytes of the network's weights.
        step_ms: median time of a training step.
        steps: training steps of a run.
        run_seconds: seconds of a whole run.
        runs: number of runs.
        left: runs that are not finished.
    """

    attention: Text
    parameters: Count
    state_bytes: Count
    step_ms: Number
    steps: Count
    run_seconds: Number
    runs: Count
    left: Count


class Disk(Record):
    """Bytes of the weights of all runs, of the additional files while runs train, and of free space."""

    weights: Count
    while_training: Count
    free: Count


class Detectable(Record):
    """What the study's seeds can detect.

    Attributes:
        spread: standard deviation of paired differences, in the unit of the metric.
        measured: whether the spread was measured from finished runs.
        comparisons: number of comparisons for which p values are adjusted.
        difference: the smallest detectable difference; None with one seed.
    """

    spread: Number
    measured: Switch
    comparisons: Count
    difference: Number | None


class Plan(Record):
    """What a study takes.

    Attributes:
        study: its name.
        data: its images.
        recipe: the recipe's keys and values.
        candidates: what the runs of each candidate take.
        tested: what the study compares.
        runs: number of all runs.
        finished: number of finished runs.
        jobs: runs at a time.
        seconds: of the unfinished runs, on `jobs` processes that do not slow each other.
        disk: bytes on disk.
        detectable: one for each spread that is known or assumed.
    """

    study: Text
    data: StudyData
    recipe: dict[Text, Json]
    candidates: tuple[PlannedCandidate, ...]
    tested: Tested = "all"
    runs: Count
    finished: Count
    jobs: Count
    seconds: Number
    disk: Disk
    detectable: tuple[Detectable, ...]
