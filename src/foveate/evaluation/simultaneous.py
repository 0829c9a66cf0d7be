"""Intervals of many paired differences at once, wide enough to be all right together."""

from collections.abc import Sequence
from typing import Any

from foveate.evaluation.intervals import Bounds
from foveate.evaluation.statistics import paired_test

__all__ = ["simultaneous_differences"]


def simultaneous_differences(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
    bounds: Bounds | None = None,
    *,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Mean of b - a of each pair of samples (a, b), matched by seed, with intervals adjusted for number.

    Of m differences with two seeds or more, each has the interval of `paired_test` at the level
    1 - (1 - level) / m: by Bonferroni's inequality all of them hold the true differences at once with a
    chance of at least `level`, however they depend on each other. `bounds` are those of the values.

    Returns for each {"difference", "std", "interval": [low, high], "p", "p_adjusted", "n", "family": m,
    "shown"}; "shown" is whether the interval leaves out 0. What cannot be given is None, by the rules of
    foveate.evaluation.statistics: equal differences on all seeds have no interval, and are never shown.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    family = sum(len(a) > 1 for a, _ in pairs)
    rows = []
    for a, b in pairs:
        test = paired_test(a, b, bounds, level=1 - (1 - level) / max(family, 1))
        p_adjusted = None if test["p"] is None else min(1.0, family * test["p"])
        rows.append(
            {
                "difference": test["difference"],
                "std": test["std"],
                "interval": test["ci95"],
                "p": test["p"],
                "p_adjusted": p_adjusted,
                "n": test["n"],
                "family": family,
                "shown": p_adjusted is not None and p_adjusted < 1 - level,
            }
        )
    return rows
