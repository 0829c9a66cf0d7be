"""What `foveate plan` says: what the runs of a study take, and what they could detect."""

from foveate.records.base import Count, Json, Number, Record, Switch, Text
from foveate.records.study import StudyData

__all__ = ["Detectable", "Disk", "Plan", "PlannedCandidate"]


class PlannedCandidate(Record):
    """What the runs of one candidate take.

    Attributes:
        attention: its label.
        parameters: learned numbers of its network.
        state_bytes: of the network's weights.
        step_ms: median time of a training step.
        steps: training steps of a run.
        run_seconds: of a whole run.
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
    """Bytes: the weights of all runs, what is added while runs are under way, and what is free."""

    weights: Count
    while_training: Count
    free: Count


class Detectable(Record):
    """What the study's seeds can detect.

    Attributes:
        spread: standard deviation of paired differences, in the unit of the metric.
        measured: whether finished runs have that spread.
        comparisons: number of comparisons for which p values are adjusted.
        difference: the smallest one that would likely be detected; None with one seed.
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
        runs: number of all runs.
        finished: number of those that are finished.
        jobs: runs at a time.
        seconds: of what is not finished, on `jobs` processes that do not slow each other.
        disk: bytes on disk.
        detectable: for each spread that is known or assumed.
    """

    study: Text
    data: StudyData
    recipe: dict[Text, Json]
    candidates: tuple[PlannedCandidate, ...]
    runs: Count
    finished: Count
    jobs: Count
    seconds: Number
    disk: Disk
    detectable: tuple[Detectable, ...]
