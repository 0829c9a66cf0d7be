"""Intervals of many paired differences at once, wide enough to be all right together."""

from collections.abc import Sequence
from dataclasses import dataclass

from foveate.evaluation.intervals import Bounds
from foveate.evaluation.statistics import paired_test

__all__ = ["SimultaneousDifference", "simultaneous_differences"]


@dataclass(frozen=True)
class SimultaneousDifference:
    """One of a family of paired differences, with an interval that is adjusted for their number.

    Attributes:
        difference: mean of b - a.
        std: sample standard deviation of the differences.
        interval: of the mean difference, for the whole family at once.
        p: of the difference by itself.
        p_adjusted: by Bonferroni.
        n: number of pairs.
        family: number of differences with two pairs or more.
        is_significant: whether the interval excludes 0.
    """

    difference: float | None
    std: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    n: int
    family: int
    is_significant: bool


def simultaneous_differences(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
    bounds: Bounds | None = None,
    *,
    level: float = 0.95,
) -> list[SimultaneousDifference]:
    """Test the mean of b - a of each pair of samples (a, b), matched by seed, as one family.

    Of m differences with two seeds or more, each has the interval of `paired_test` at the level
    1 - (1 - level) / m: by Bonferroni's inequality all of them hold the true differences at once with a
    chance of at least `level`, however they depend on each other. `bounds` are those of the values. Equal
    differences on all seeds have no interval, and are never significant.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    family = sum(len(a) > 1 for a, _ in pairs)
    rows = []
    for a, b in pairs:
        test = paired_test(a, b, bounds, level=1 - (1 - level) / max(family, 1))
        p_adjusted = None if test.p is None else min(1.0, family * test.p)
        is_significant = p_adjusted is not None and p_adjusted < 1 - level
        rows.append(
            SimultaneousDifference(
                test.difference, test.std, test.ci95, test.p, p_adjusted, test.n, family, is_significant
            )
        )
    return rows
