"""The record that `foveate plan --json` writes: what the runs of a study take, and what they could detect."""

from foveate.records.base import Count, Json, Number, Record, Switch, Text
from foveate.records.design import Tested
from foveate.records.metric import CLASSIFICATION, TaskRecord
from foveate.records.study import StudyData

__all__ = ["Detectable", "Disk", "ExpectedSeeds", "OtherSeconds", "Plan", "PlannedCandidate"]


class PlannedCandidate(Record):
    """What the runs of one candidate take.

    Attributes:
        attention: its label.
        parameters: learned numbers of its network.
        state_bytes: bytes of the network's weights.
        step_ms: time of a training step.
        steps: training steps of a run.
        run_seconds: seconds of a whole run, with its evaluation and its records.
        runs: number of runs.
        left: runs that are not finished.
        trials_left: trials of --tune that have not ended; absent in a study that is not tuned.
        trial_seconds: seconds of one of them; likewise.
    """

    attention: Text
    parameters: Count
    state_bytes: Count
    step_ms: Number
    steps: Count
    run_seconds: Number
    runs: Count
    left: Count
    trials_left: Count | None = None
    trial_seconds: Number | None = None


class Disk(Record):
    """Bytes of the weights of all runs, of the additional files while runs train, and of free space."""

    weights: Count
    while_training: Count
    free: Count


class OtherSeconds(Record):
    """What a study takes beside its runs, in seconds.

    Attributes:
        start: until the images are open and the networks are validated.
        cost: the measurement of latencies, 0 if the study has it.
        processes: until a process can train; with several jobs the processes start first.
        report: the page is built.
    """

    start: Number
    cost: Number
    processes: Number
    report: Number

    @property
    def total(self) -> float:
        """The sum."""
        return self.start + self.cost + self.processes + self.report


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


class ExpectedSeeds(Record):
    """How many seeds a comparison takes until it is decided, by simulation.

    Attributes:
        spread: standard deviation of paired differences, in the unit of the metric.
        measured: whether the spread was measured from finished runs.
        margin: of equivalence, in that unit.
        image_error: the part of the standard error that comes from the choice of the test images; 0 if it is
            not known, or does not count.
        difference: the true difference that was assumed.
        median: seeds of half of the studies.
        low: nine in ten take at least so many.
        high: nine in ten take at most so many.
        max_seeds: the budget.
        decided: share of the studies that are decided within it.
        seconds: of all runs of all candidates with the median of the seeds.
    """

    spread: Number
    measured: Switch
    margin: Number
    image_error: Number
    difference: Number
    median: Count
    low: Count
    high: Count
    max_seeds: Count
    decided: Number
    seconds: Number


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
        scheduler: what carries them out elsewhere, ray or slurm; absent for this machine.
        seconds: of the unfinished runs, on `jobs` processes.
        trials: number of all trials of --tune; absent in a study that is not tuned.
        tuning_seconds: of those that have not ended, on `jobs` processes; likewise.
        other_seconds: what the study takes beside them; None if nothing is left to do.
        total_seconds: of the whole command.
        busy: whether the machine was also busy with something else while it was measured; None if that is
            unknown.
        disk: bytes on disk.
        detectable: one for each spread that is known or assumed.
        task: absent if it is classification.
        until_decided: two for each of these spreads, without a true difference and with one; absent unless
            seeds are added until the study is decided.
    """

    study: Text
    data: StudyData
    recipe: dict[Text, Json]
    candidates: tuple[PlannedCandidate, ...]
    tested: Tested = "all"
    runs: Count
    finished: Count
    jobs: Count
    scheduler: Text | None = None
    seconds: Number
    trials: Count | None = None
    tuning_seconds: Number | None = None
    other_seconds: OtherSeconds | None = None
    total_seconds: Number = 0
    busy: Switch | None = None
    disk: Disk
    detectable: tuple[Detectable, ...]
    task: TaskRecord = CLASSIFICATION
    until_decided: tuple[ExpectedSeeds, ...] = ()
