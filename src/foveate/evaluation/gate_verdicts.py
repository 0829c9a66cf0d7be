"""Whether the gates of a mechanism are constants: its networks against themselves with gates replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal, TypeVar

from foveate.evaluation.intervals import SHARE
from foveate.evaluation.significance import is_significant
from foveate.evaluation.statistics import Description, adjust_p_values, describe, paired_test
from foveate.evaluation.within_margin import (
    Equivalence,
    changed_over_images,
    equivalent_over_images,
    equivalent_within,
)
from foveate.records.base import JsonObject
from foveate.records.gates import GateRow, ReplacedScore, Replacement

__all__ = [
    "ADJUST",
    "Place",
    "ReplacementTest",
    "Tests",
    "Verdict",
    "can_be_shown",
    "judge_gates",
    "judge_together",
]

ADJUST = "holm"
Place = tuple[str, str | None]
"""A gate of a network: the path of its attention, and its factor."""
Key = TypeVar("Key")


class Verdict(StrEnum):
    """What replacing a gate came to."""

    CONSTANT = "constant"
    REACTS = "reacts"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class ReplacementTest:
    """The accuracy of a mechanism's networks with a gate replaced, against that with the gate as it is.

    Attributes:
        accuracy: with the replacement.
        equivalence: of both accuracies, within the margin.
        p_equivalence: its p value, adjusted for the gates of the mechanism.
        p_difference: that of the two-sided test of a difference, adjusted likewise; None without a spread.
        over: what the tests are over: the images, of a single network.
        n: the number of these.
        verdict: constant where equivalence is shown, reacts where accuracy differs significantly, else
            inconclusive.
    """

    accuracy: Description
    equivalence: Equivalence
    p_equivalence: float | None
    p_difference: float | None
    over: Literal["seeds", "images"]
    n: int
    verdict: Verdict

    def to_json(self) -> JsonObject:
        """Return the test as `--json` gives it."""
        found = self.equivalence
        return {
            "accuracy": asdict(self.accuracy),
            "difference": found.difference,
            "interval": found.interval,
            "p_equivalence": self.p_equivalence,
            "p_difference": self.p_difference,
            "over": self.over,
            "n": self.n,
            "verdict": self.verdict.value,
        }


Tests = Mapping[Replacement, ReplacementTest]


@dataclass(frozen=True)
class _Pair:
    """A network's scores with a gate replaced, beside its accuracy with the gate as it is."""

    accuracy: float
    score: ReplacedScore
    images: int


@dataclass(frozen=True)
class _Test:
    """The tests of one replacement, not adjusted yet."""

    accuracy: Description
    equivalence: Equivalence
    p_difference: float | None
    over: Literal["seeds", "images"]
    n: int


def judge_gates(rows: Sequence[GateRow], margin: float) -> dict[Place, Tests]:
    """Test each gate of the networks `rows` of one mechanism, in the order of its sites.

    A gate is tested over seeds, each network against itself with the gate replaced; of a single network it is
    tested over the images. The p values of one kind of replacement are adjusted for the gates (Holm).

    Args:
        margin: difference in accuracy, a share of the images, within which a gate counts as a constant.
    """
    pairs: dict[Replacement, dict[Place, list[_Pair]]] = {}
    tests: dict[Place, dict[Replacement, ReplacementTest]] = {}
    for row in rows:
        for gate in row.gates:
            place = gate.path, gate.factor
            tests.setdefault(place, {})
            for kind, score in gate.replaced.items():
                pairs.setdefault(kind, {}).setdefault(place, []).append(_pair(row, score))
    for kind, by_place in pairs.items():
        for place, test in _adjusted(
            {place: _test(found, margin) for place, found in by_place.items()}
        ).items():
            tests[place][kind] = test
    return dict(tests)


def judge_together(rows: Sequence[GateRow], margin: float) -> Tests:
    """Test the networks of one mechanism with all of their gates replaced at once; each kind by itself."""
    pairs: dict[Replacement, list[_Pair]] = {}
    for row in rows:
        for kind, score in row.together.items():
            pairs.setdefault(kind, []).append(_pair(row, score))
    return {kind: _adjusted({kind: _test(found, margin)})[kind] for kind, found in pairs.items()}


def can_be_shown(rows: Sequence[GateRow], gates: int, margin: float) -> bool:
    """Return whether `gates` gates that change no answer of any network would be shown to be constants."""
    unchanged = ReplacedScore(accuracy=0.0, lost=0, gained=0)
    p = _test([_Pair(0.0, unchanged, row.images) for row in rows], margin).equivalence.p
    return is_significant(adjust_p_values([p] * gates, ADJUST)[0])


def _pair(row: GateRow, score: ReplacedScore) -> _Pair:
    return _Pair(float(row.accuracy), score, row.images)


def _test(pairs: Sequence[_Pair], margin: float) -> _Test:
    before = [pair.accuracy for pair in pairs]
    after = [float(pair.score.accuracy) for pair in pairs]
    accuracy, images = describe(after, SHARE), min(pair.images for pair in pairs)
    if len(pairs) == 1:
        score = pairs[0].score
        over_images = equivalent_over_images(score.lost, score.gained, images, margin)
        return _Test(accuracy, over_images, changed_over_images(score.lost, score.gained), "images", images)
    differences = [(pair.score.gained - pair.score.lost) / pair.images for pair in pairs]
    over_seeds = equivalent_within(differences, margin, resolution=1 / images)
    return _Test(accuracy, over_seeds, paired_test(before, after, SHARE).p, "seeds", len(pairs))


def _adjusted(tests: Mapping[Key, _Test]) -> dict[Key, ReplacementTest]:
    """Adjust the tests of one kind of replacement for their number, and give each its verdict."""
    equivalent = adjust_p_values([test.equivalence.p for test in tests.values()], ADJUST)
    different = adjust_p_values([test.p_difference for test in tests.values()], ADJUST)
    return {
        key: ReplacementTest(
            accuracy=test.accuracy,
            equivalence=test.equivalence,
            p_equivalence=p_equivalence,
            p_difference=p_difference,
            over=test.over,
            n=test.n,
            verdict=_verdict(p_equivalence, p_difference),
        )
        for (key, test), p_equivalence, p_difference in zip(tests.items(), equivalent, different, strict=True)
    }


def _verdict(p_equivalence: float | None, p_difference: float | None) -> Verdict:
    if is_significant(p_equivalence):
        return Verdict.CONSTANT
    return Verdict.REACTS if is_significant(p_difference) else Verdict.INCONCLUSIVE
