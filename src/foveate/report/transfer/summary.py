"""The summary of a record of `foveate transfer`: scores by mechanism, and tests against the baseline."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.significance import outcome
from foveate.evaluation.statistics import Description, PairedTest, adjust_family, describe, paired_test
from foveate.records.base import JsonObject
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION
from foveate.records.transfer import WAYS, TransferRecord, TransferRow, Way
from foveate.report.study.class_changes import ClassChange, class_changes, untested_classes

__all__ = [
    "ACCURACY",
    "MechanismResult",
    "TransferSummary",
    "WaySummary",
    "summarise_transfer",
]

ACCURACY = CLASSIFICATION.primary
"""The metric that mechanisms are compared by."""
SCORES = {
    metric.name: metric for metric in CLASSIFICATION.metrics if metric.name in ("accuracy", "loss", "ece")
}

BySeed = Mapping[int | None, TransferRow]


class Group(NamedTuple):
    """What rows must share to be compared: the way, the backbone, the answers, the number of images."""

    way: Way
    backbone: str
    choices: tuple[str, ...]
    images: int


@dataclass(frozen=True)
class MechanismResult:
    """What one mechanism reaches over its seeds.

    Attributes:
        attention: its label.
        runs: number of seeds.
        accuracy: on the target's test part.
        loss: likewise.
        ece: likewise.
        against_baseline: None of the baseline itself, and without a seed in common with it.
    """

    attention: str
    runs: int
    accuracy: Description
    loss: Description
    ece: Description
    against_baseline: AdjustedTest | None

    def to_json(self) -> JsonObject:
        """Return the result as `--json` gives it."""
        scores = {name: asdict(getattr(self, name)) for name in SCORES}
        test = self.against_baseline and self.against_baseline.to_json()
        return {"attention": self.attention, "runs": self.runs, **scores, "test": test}


@dataclass(frozen=True)
class WaySummary:
    """The results of one way of transferring the networks of one backbone.

    Attributes:
        way: how they were transferred.
        backbone: their backbone.
        choices: the answers to choose from.
        images: number of test images.
        rows: the mechanisms, the baseline first.
        changes: of the accuracy of each class.
        untested: classes without a test image.
    """

    way: Way
    backbone: str
    choices: tuple[str, ...]
    images: int
    rows: tuple[MechanismResult, ...]
    changes: tuple[ClassChange, ...]
    untested: tuple[str, ...]

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.choices)

    def to_json(self) -> JsonObject:
        """Return the way as `--json` gives it."""
        return {
            "way": self.way,
            "backbone": self.backbone,
            "choices": list(self.choices),
            "chance": self.chance,
            "images": self.images,
            "rows": [row.to_json() for row in self.rows],
            "changes": [change.to_json() for change in self.changes],
            "untested": list(self.untested),
        }


@dataclass(frozen=True)
class TransferSummary:
    """A record of `foveate transfer` in numbers.

    Attributes:
        target: the name of the images.
        ways: in the order of tables.
        comparisons: number of tests against the baseline, all one family.
        left_out: what was excluded, in sentences.
        warnings: what a reader must know, in sentences.
    """

    target: str
    ways: tuple[WaySummary, ...]
    comparisons: int
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def has_backbones(self) -> bool:
        """Whether there are networks of several backbones, so that each has to be named."""
        return len({way.backbone for way in self.ways}) > 1

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it."""
        return {
            "target": self.target,
            "ways": [way.to_json() for way in self.ways],
            "comparisons": self.comparisons,
            "left_out": list(self.left_out),
            "warnings": list(self.warnings),
        }


def summarise_transfer(record: TransferRecord) -> TransferSummary:
    """Summarise a record: each mechanism over its seeds, and tested against the baseline, paired by seed.

    The tests are adjusted by Holm for all comparisons of the record. A mechanism that was attached to a
    baseline network is compared with that network fine-tuned without it.
    """
    groups = _group(record)
    tests = {
        (group, label): test
        for group, by_label in groups.items()
        for label in by_label
        if (test := _test(label, by_label)) is not None
    }
    adjusted = adjust_family([*tests.values()])
    tested = {
        place: AdjustedTest(test, p, outcome(test.difference, p, higher_is_better=ACCURACY.higher_is_better))
        for (place, test), p in zip(tests.items(), adjusted, strict=True)
    }
    return TransferSummary(
        target=record.data.name,
        ways=tuple(
            _summarise_way(group, by_label, {label: tested.get((group, label)) for label in by_label})
            for group, by_label in groups.items()
        ),
        comparisons=len(tests),
        left_out=record.left_out,
        warnings=record.warnings,
    )


def _group(record: TransferRecord) -> dict[Group, dict[str, BySeed]]:
    """Return the rows by group, label and seed: groups in the order of tables, the baseline first."""
    found: dict[Group, dict[str, dict[int | None, TransferRow]]] = {}
    for row in record.rows:
        choices = tuple(of_class.name for of_class in row.per_class)
        group = Group(row.key.way, row.key.backbone, choices, row.images)
        found.setdefault(group, {}).setdefault(row.key.label, {})[row.key.seed] = row
    for group, by_label in found.items():
        if group.way == "attached" and BASELINE in (tuned := found.get(group._replace(way="finetune"), {})):
            by_label[BASELINE] = tuned[BASELINE]
    ordered = sorted(found, key=lambda group: (WAYS.index(group.way), group.backbone))
    return {
        group: dict(sorted(found[group].items(), key=lambda item: item[0] != BASELINE)) for group in ordered
    }


def _test(label: str, by_label: Mapping[str, BySeed]) -> PairedTest | None:
    own, baseline = by_label[label], by_label.get(BASELINE, {})
    shared = [seed for seed in own if seed in baseline]
    if label == BASELINE or not shared:
        return None
    before, after = ([rows[seed].accuracy for seed in shared] for rows in (baseline, own))
    return paired_test(before, after, bounds_of(ACCURACY))


def _summarise_way(
    group: Group, by_label: Mapping[str, BySeed], tested: Mapping[str, AdjustedTest | None]
) -> WaySummary:
    per_class = {
        label: {seed: row.per_class for seed, row in rows.items()} for label, rows in by_label.items()
    }
    return WaySummary(
        **group._asdict(),
        rows=tuple(
            MechanismResult(label, len(rows), *_describe(rows), tested[label])
            for label, rows in by_label.items()
        ),
        changes=tuple(class_changes(per_class, group.choices, CLASSIFICATION.of_class)),
        untested=tuple(untested_classes(per_class, group.choices, CLASSIFICATION.of_class)),
    )


def _describe(rows: BySeed) -> tuple[Description, Description, Description]:
    accuracy, loss, ece = (
        describe([getattr(row, name) for row in rows.values()], bounds_of(metric))
        for name, metric in SCORES.items()
    )
    return accuracy, loss, ece
