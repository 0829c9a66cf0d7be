"""The summary of a robustness record: what its tables, figures and sentences are made from, and `--json`."""

from dataclasses import asdict, dataclass

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.significance import ALPHA
from foveate.evaluation.statistics import Description
from foveate.records.base import JsonObject
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION, Metric, TaskRecord
from foveate.records.robustness import stated_sigma

__all__ = [
    "ADJUST",
    "AttackSummary",
    "BaselineTest",
    "CorruptionSummary",
    "Done",
    "MechanismSummary",
    "MetricSummary",
    "Progress",
    "RobustnessSummary",
    "SeveritySummary",
    "Statistics",
    "beside_of",
]

ADJUST = "holm"
BESIDE = ("ece", "map50", "pixel_accuracy")
"""The metrics that stand beside the primary ones in the main table and the figures."""


@dataclass(frozen=True)
class Progress:
    """How many of the measurements that were asked for are in the record."""

    there: int
    asked: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.there >= self.asked


@dataclass(frozen=True)
class Done:
    """The progress of conditions (a corruption and its severity), and of attacks on single networks."""

    conditions: Progress
    attacks: Progress


@dataclass(frozen=True)
class Statistics:
    """How p values are adjusted for the number of tests, and the level of the tests."""

    adjust: str = ADJUST
    alpha: float = ALPHA


@dataclass(frozen=True)
class BaselineTest(AdjustedTest):
    """A paired test of a mechanism's score on corrupted images against the baseline's, by seed.

    Attributes:
        label: of the mechanism.
        test: of the mechanism minus the baseline.
        clean_difference: mean difference on clean images, over the same seeds.
        p_adjusted: adjusted for the family of the test.
        outcome: of the mechanism against the baseline.
    """

    label: str
    clean_difference: float | None

    def to_json(self) -> JsonObject:
        """Return the test as `--json` gives it."""
        return {
            "a": BASELINE,
            "b": self.label,
            **asdict(self.test),
            "clean_difference": self.clean_difference,
            "p_adjusted": self.p_adjusted,
        }


@dataclass(frozen=True)
class MechanismSummary:
    """One mechanism, described over its seeds.

    Scores are of the task's primary metric, accuracy in a classification. What another task has is empty.

    Attributes:
        runs: number of its networks.
        clean: score on clean images.
        corrupted: mean score on corrupted images, which of a detection or a segmentation is called mPC.
        lost: the difference of the two.
        mce: of a classification: error relative to the baseline's of the same seed, mean over the averaged
            corruptions.
        relative_mce: of a classification: the same ratio of the accuracy that is lost from clean to corrupted
            images.
        rpc: of the other tasks: `corrupted` as a share of `clean`.
        clean_beside: the metric beside it (see `RobustnessSummary.beside`) on clean images.
        beside: its mean on corrupted images.
    """

    attention: str
    runs: int
    clean: Description
    corrupted: Description
    lost: Description
    mce: Description
    relative_mce: Description
    rpc: Description
    clean_beside: Description
    beside: Description

    def to_json(self, task: TaskRecord) -> JsonObject:
        """Return the row as `--json` gives it."""
        content, name = asdict(self), beside_of(task).name
        own = ("mce", "relative_mce") if task == CLASSIFICATION else ("rpc",)
        keys = ("attention", "runs", "clean", "corrupted", "lost", *own)
        renamed = {f"clean_{name}": content["clean_beside"], name: content["beside"]}
        return {key: content[key] for key in keys} | renamed


@dataclass(frozen=True)
class CorruptionSummary:
    """One mechanism under one corruption, as means over its severities.

    `score` is of the primary metric, and `error_ratio` the error relative to the baseline's of the same seed,
    empty but of a classification; `test` is None of the baseline itself, and where there is none.
    """

    attention: str
    corruption: str
    score: Description
    error_ratio: Description
    test: BaselineTest | None

    def to_json(self, task: TaskRecord) -> JsonObject:
        """Return the row as `--json` gives it."""
        content = asdict(self)
        renamed = {task.primary.name: content["score"]}
        if task == CLASSIFICATION:
            renamed["error_ratio"] = content["error_ratio"]
        head = {"attention": self.attention, "corruption": self.corruption}
        return head | renamed | {"test": self.test and self.test.to_json()}


@dataclass(frozen=True)
class SeveritySummary:
    """One mechanism at one severity, as means over the corruptions that have severities; 0 is clean."""

    attention: str
    severity: int
    score: Description
    beside: Description

    def to_json(self, task: TaskRecord) -> JsonObject:
        """Return the row as `--json` gives it."""
        content = asdict(self)
        renamed = {task.primary.name: content["score"], beside_of(task).name: content["beside"]}
        return {"attention": self.attention, "severity": self.severity} | renamed


@dataclass(frozen=True)
class MetricSummary:
    """A further metric of one mechanism, on clean images and as the mean over corrupted ones."""

    attention: str
    metric: str
    clean: Description
    corrupted: Description


@dataclass(frozen=True)
class AttackSummary:
    """One mechanism under one attack; `eps` is None of images that are not attacked."""

    attention: str
    attack: str
    eps: float | None
    accuracy: Description
    images: int


@dataclass(frozen=True)
class RobustnessSummary:
    """What a record of `foveate robustness` amounts to; what cannot be computed is None.

    The fields have the names of `--json`.

    Attributes:
        task: of the networks; its primary metric is what is compared.
        data: name of the clean images.
        prepared: folder of images that were corrupted elsewhere.
        images: largest number of images of a condition; `fewest_images` is the smallest.
        clean_images: number of clean images.
        done: how much of what was asked for is in the record.
        corruptions: those of which each severity that was asked for is in the record.
        averaged: those that means are over: the 15 common ones if all of them are there, else all.
        severities: of the averaged corruptions.
        standard: whether means are over the 15 common corruptions in all five severities.
        rows: the mechanisms, the baseline first.
        others: the further metrics of a detection or a segmentation; none of a classification.
        tests: of each mechanism against the baseline.
        left_out: what could not be measured, in sentences.
        warnings: what a reader must know, in sentences.
    """

    task: TaskRecord
    data: str
    prepared: str | None
    images: int
    fewest_images: int
    clean_images: int
    done: Done
    corruptions: tuple[str, ...]
    averaged: tuple[str, ...]
    severities: tuple[int, ...]
    standard: bool
    statistics: Statistics
    rows: tuple[MechanismSummary, ...]
    tests: tuple[BaselineTest, ...]
    by_corruption: tuple[CorruptionSummary, ...]
    by_severity: tuple[SeveritySummary, ...]
    attacks: tuple[AttackSummary, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]
    others: tuple[MetricSummary, ...] = ()

    @property
    def metric(self) -> Metric:
        """The metric by which mechanisms are compared."""
        return self.task.primary

    @property
    def beside(self) -> Metric:
        """The metric that stands beside it in the main table: the calibration error of a classification."""
        return beside_of(self.task)

    @property
    def has_errors(self) -> bool:
        """Whether mechanisms have errors relative to the baseline's; else they have rPC."""
        return self.task == CLASSIFICATION

    @property
    def labels(self) -> list[str]:
        """The labels of the mechanisms, the baseline first."""
        return [row.attention for row in self.rows]

    @property
    def sigmas(self) -> list[str]:
        """The σ of each averaged corruption that is noise of a stated σ, which has no severities."""
        return [sigma for name in self.averaged if (sigma := stated_sigma(name)) is not None]

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it."""
        content = asdict(self)
        others = content.pop("others")
        del content["task"]
        content["rows"] = [row.to_json(self.task) for row in self.rows]
        content["tests"] = [test.to_json() for test in self.tests]
        content["by_corruption"] = [row.to_json(self.task) for row in self.by_corruption]
        content["by_severity"] = [row.to_json(self.task) for row in self.by_severity]
        if self.task == CLASSIFICATION:
            return content
        return content | {"task": self.task.name, "metric": self.metric.name, "others": others}


def beside_of(task: TaskRecord) -> Metric:
    """Return the metric that stands beside the primary one: one of `BESIDE`, or the second of the task."""
    return next((one for one in task.metrics if one.name in BESIDE), task.metrics[1])
