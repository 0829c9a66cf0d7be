"""Which classes gain and which lose against the baseline, with intervals adjusted for their number.

Ten classes times five mechanisms are fifty differences, of which some are large by chance alone. So every
interval here is wide enough that all of them hold at once (see foveate.evaluation.simultaneous).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

from foveate.errors import shortened
from foveate.evaluation.intervals import SHARE
from foveate.evaluation.simultaneous import simultaneous_differences
from foveate.evaluation.statistics import ROUNDING
from foveate.notation import NOTHING, count, interval, listing
from foveate.records.base import JsonObject
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.records.run import ClassScores
from foveate.report.core.notation import NO_SPREAD, points
from foveate.report.core.tables import Cell, Column, Table

__all__ = [
    "MANY_CLASSES",
    "ClassChange",
    "PerClass",
    "changed_labels",
    "class_changes",
    "class_changes_sentences",
    "class_changes_table",
    "most_changed",
    "untested_classes",
]

MANY_CLASSES = 30
"""The most classes that a table or a figure has: those with the lowest scores, or the largest changes."""
NEARLY_ALL = 0.9
"""An interval that reaches further than this to either side excludes next to nothing."""
EVERYTHING = 1.999
"""An interval as wide as this, from -1 to 1 up to rounding, excludes nothing."""

Seed = TypeVar("Seed", bound=Hashable)
PerClass = Mapping[str, Mapping[Seed, Sequence[ClassScores]]]
"""The scores of each class, by label and by seed."""


@dataclass(frozen=True)
class ClassChange:
    """The change of one class's score from the baseline to one mechanism, paired by seed.

    Attributes:
        attention: label of the mechanism.
        name: of the class.
        baseline: mean score of the baseline over the seeds that both have, such as its accuracy.
        score: that of the mechanism.
        difference: mean of the differences; 0 where rounding alone makes it.
        low: lower end of the simultaneous 95 % interval; None without one.
        high: its upper end.
        p_adjusted: adjusted for the family by Bonferroni; None where no test was possible.
        n: number of seeds.
        family: number of changes that were tested.
        is_significant: whether the interval excludes 0.
    """

    attention: str
    name: str
    baseline: float
    score: float
    difference: float
    low: float | None
    high: float | None
    p_adjusted: float | None
    n: int
    family: int
    is_significant: bool

    @property
    def width(self) -> float | None:
        """The width of the interval; None without one."""
        return None if self.low is None or self.high is None else self.high - self.low

    def to_json(self) -> JsonObject:
        """Return the change as `--json` and class_changes.csv give it."""
        return {
            "attention": self.attention,
            "class": self.name,
            "plain": self.baseline,
            "accuracy": self.score,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "p_adjusted": self.p_adjusted,
            "n": self.n,
            "family": self.family,
            "shown": self.is_significant,
        }


def untested_classes(per_class: PerClass[Seed], classes: Sequence[str], metric: Metric) -> list[str]:
    """Return the classes that a run has no score of, so that nothing can be said of them."""
    without = {
        scores.name
        for by_seed in per_class.values()
        for of_run in by_seed.values()
        for scores in of_run
        if scores.score(metric) is None
    }
    return [name for name in classes if name in without]


def class_changes(per_class: PerClass[Seed], classes: Sequence[str], metric: Metric) -> list[ClassChange]:
    """Return the change of each class's score by `metric` from the baseline to each mechanism.

    The family is all of them, classes × mechanisms, without `untested_classes`. There are none without the
    baseline. A change that is the same in each seed has no interval and no p value.
    """
    if BASELINE not in per_class:
        return []
    scores = {
        label: {seed: _scores(of_run, metric) for seed, of_run in by_seed.items()}
        for label, by_seed in per_class.items()
    }
    runs = [of_run for by_seed in scores.values() for of_run in by_seed.values()]
    tested = [name for name in classes if all(name in of_run for of_run in runs)]
    baseline = scores.pop(BASELINE)
    asked, pairs = [], []
    for label, by_seed in scores.items():
        seeds = [seed for seed in by_seed if seed in baseline]
        for name in tested if seeds else ():
            asked.append((label, name))
            pairs.append(([baseline[seed][name] for seed in seeds], [by_seed[seed][name] for seed in seeds]))
    changes = []
    tests = simultaneous_differences(pairs, SHARE)
    for (label, name), (before, after), test in zip(asked, pairs, tests, strict=True):
        low, high = test.interval or (None, None)
        difference = test.difference or 0.0
        changes.append(
            ClassChange(
                attention=label,
                name=name,
                baseline=fmean(before),
                score=fmean(after),
                difference=difference if abs(difference) > ROUNDING else 0.0,
                low=low,
                high=high,
                p_adjusted=test.p_adjusted,
                n=test.n,
                family=test.family,
                is_significant=test.is_significant,
            )
        )
    return changes


def _scores(of_run: Sequence[ClassScores], metric: Metric) -> dict[str, float]:
    """Return the scores by class, without the classes that have none."""
    return {scores.name: found for scores in of_run if (found := scores.score(metric)) is not None}


def class_changes_sentences(changes: Sequence[ClassChange], untested: Sequence[str] = ()) -> list[str]:
    """Say which classes gain and lose, or that no change is significant; `untested` are named at the end."""
    if untested:
        named = shortened(untested, MANY_CLASSES)
        return [*class_changes_sentences(changes), f"Not in the test part, and not tested: {named}."]
    if not changes:
        return []
    largest = max(changes, key=lambda change: abs(change.difference))
    seen = (
        f"The largest change seen is that of {largest.name} with {display_name(largest.attention)}, "
        f"{points(largest.difference)} points"
    )
    if not largest.family:
        return [f"With one seed nobody can tell which classes gain or lose. {seen}."]
    significant = [change for change in changes if change.is_significant]
    classes = len({change.name for change in changes})
    mechanisms = count(len(changed_labels(changes)), "mechanism")
    whole = f"{len(changes)} changes ({mechanisms} by {classes} classes)"
    if not significant:
        same = largest.low is None and largest.n > 1
        tail = NO_SPREAD if same else _bounds(largest)
        return [
            f"No class's change is shown: of {whole} none has an interval, adjusted for their number, that "
            f"leaves out 0. {seen} ({tail}). {_reach(changes)}"
        ]
    sentences = [
        f"Of {whole} {len(significant)} {'is' if len(significant) == 1 else 'are'} shown, by intervals that "
        "are adjusted for their number."
    ]
    for label in changed_labels(significant):
        own = [change for change in significant if change.attention == label]
        for verb, sign in (("gains", 1), ("loses", -1)):
            found = sorted(
                (change for change in own if sign * change.difference > 0),
                key=lambda change: -abs(change.difference),
            )
            if found:
                named = listing(
                    [f"{change.name} ({points(change.difference)}; {_bounds(change)})" for change in found]
                )
                sentences.append(f"{display_name(label)} {verb} on {named}, in points.")
    return sentences


def class_changes_table(
    changes: Sequence[ClassChange], metric: Metric, name: str = "class_changes"
) -> Table | None:
    """Return a table with a row for each class and a column for each mechanism; None without changes."""
    if not changes:
        return None
    labels, by_place = changed_labels(changes), {(one.attention, one.name): one for one in changes}
    note = (
        f"Mean change in points; below, its interval at 95 % for all {changes[0].family} changes together. "
        "One that is the same in each seed has none: there is no spread to test against."
    )
    columns = [
        Column("Class"),
        Column("Baseline, %", f"{metric.note} Mean over seeds."),
        *(Column(display_name(label), note if label == labels[0] else "") for label in labels),
    ]
    rows = []
    for of_class in most_changed(changes):
        found = [by_place.get((label, of_class)) for label in labels]
        first = next(change for change in found if change)
        rows.append([Cell(of_class), Cell(f"{100 * first.baseline:.1f}"), *map(_cell, found)])
    every = len({change.name for change in changes})
    cut = f", the {MANY_CLASSES} of {every} classes that change most" if every > MANY_CLASSES else ""
    return Table(name, f"{metric.title} by class against the baseline{cut} (*: significant)", columns, rows)


def changed_labels(changes: Sequence[ClassChange]) -> list[str]:
    """Return the labels of the mechanisms, in their order."""
    return list(dict.fromkeys(change.attention for change in changes))


def most_changed(changes: Sequence[ClassChange]) -> list[str]:
    """Return the classes to list, in their order: of more than `MANY_CLASSES` those that change most."""
    largest: dict[str, float] = {}
    for change in changes:
        largest[change.name] = max(largest.get(change.name, 0.0), abs(change.difference))
    kept = set(sorted(largest, key=largest.__getitem__, reverse=True)[:MANY_CLASSES])
    return [name for name in largest if name in kept]


def _cell(change: ClassChange | None) -> Cell:
    if change is None:
        return Cell(NOTHING)
    return Cell(points(change.difference) + "*" * change.is_significant, _bounds(change, empty=""))


def _reach(changes: Sequence[ClassChange]) -> str:
    """Say how wide the intervals are: the wider, the less it means that no change is significant."""
    said = "That does not mean that there is none"
    halves = [change.width / 2 for change in changes if change.width is not None]
    if not halves:
        return f"{said}."
    wide = f"further than {100 * median(halves):.0f} points to either side"
    if median(halves) > NEARLY_ALL:
        wide = "over nearly all that is possible"
    return f"{said}: with {count(changes[0].n, 'seed')} half of the intervals reach {wide}."


def _bounds(change: ClassChange, empty: str = NOTHING) -> str:
    if change.low is None or change.high is None:
        return empty if change.n < 2 else "same in each seed"
    if change.high - change.low > EVERYTHING:
        return "±100"
    return interval((change.low, change.high), 1, scale=100)
