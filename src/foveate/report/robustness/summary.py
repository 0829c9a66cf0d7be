"""The summary of a robustness record: what its tables, figures and sentences are made from, and `--json`."""

from dataclasses import asdict, dataclass

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.significance import ALPHA
from foveate.evaluation.statistics import Description
from foveate.records.base import JsonObject
from foveate.records.labels import BASELINE
from foveate.records.robustness import stated_sigma

__all__ = [
    "ADJUST",
    "AttackSummary",
    "BaselineTest",
    "CorruptionSummary",
    "Done",
    "MechanismSummary",
    "Progress",
    "RobustnessSummary",
    "SeveritySummary",
    "Statistics",
]

ADJUST = "holm"


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
    """A paired test of a mechanism's accuracy on corrupted images against the baseline's, by seed.

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
    """One mechanism over its networks.

    Attributes:
        attention: its label.
        runs: number of networks.
        clean: accuracy on clean images.
        corrupted: mean accuracy over severities, then over the averaged corruptions.
        lost: the difference of the two.
        mce: error relative to the baseline's of the same seed, mean over the averaged corruptions.
        relative_mce: the same ratio of the accuracy that is lost from clean to corrupted images.
        clean_ece: calibration error on clean images.
        ece: mean calibration error on corrupted images.
    """

    attention: str
    runs: int
    clean: Description
    corrupted: Description
    lost: Description
    mce: Description
    relative_mce: Description
    clean_ece: Description
    ece: Description


@dataclass(frozen=True)
class CorruptionSummary:
    """One mechanism under one corruption, as means over its severities.

    `error_ratio` is the error relative to the baseline's of the same seed; `test` is None of the baseline
    itself, and where there is none.
    """

    attention: str
    corruption: str
    accuracy: Description
    error_ratio: Description
    test: BaselineTest | None

    def to_json(self) -> JsonObject:
        """Return the row as `--json` gives it."""
        return asdict(self) | {"test": self.test and self.test.to_json()}


@dataclass(frozen=True)
class SeveritySummary:
    """One mechanism at one severity, as means over the corruptions that have severities; 0 is clean."""

    attention: str
    severity: int
    accuracy: Description
    ece: Description


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
        tests: of each mechanism against the baseline.
        left_out: what could not be measured, in sentences.
        warnings: what a reader must know, in sentences.
    """

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
        tests = [test.to_json() for test in self.tests]
        return asdict(self) | {"tests": tests, "by_corruption": [row.to_json() for row in self.by_corruption]}
