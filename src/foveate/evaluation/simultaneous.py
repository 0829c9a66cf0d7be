"""Intervals of many paired differences at once, wide enough to be all right together."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from foveate.evaluation.statistics import paired_test

__all__ = ["simultaneous_differences"]


def simultaneous_differences(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], level: float = 0.95
) -> list[dict[str, Any]]:
    """Mean of b - a of each pair of samples (a, b), matched by seed, with intervals adjusted for number.

    Of m differences with two seeds or more, each has the t interval at the level 1 - (1 - level) / m: by
    Bonferroni's inequality all of them hold the true differences at once with a chance of at least `level`,
    however they depend on each other.

    Returns for each {"difference", "std", "interval": [low, high], "p", "p_adjusted", "n", "family": m,
    "shown"}; "shown" is whether the interval leaves out 0. What cannot be given is None, by the rules of
    foveate.evaluation.statistics: equal differences on all seeds have no interval, and are never shown.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    tests = [paired_test(a, b) for a, b in pairs]
    family = sum(test["n"] > 1 for test in tests)
    rows = []
    for test in tests:
        bounds = None
        if test["std"]:
            quantile = float(stats.t.isf((1 - level) / (2 * family), test["n"] - 1))
            half = quantile * test["std"] / math.sqrt(test["n"])
            bounds = [test["difference"] - half, test["difference"] + half]
        p = test["p"]
        rows.append(
            {
                "difference": test["difference"],
                "std": test["std"],
                "interval": bounds,
                "p": p,
                "p_adjusted": None if p is None else min(1.0, family * p),
                "n": test["n"],
                "family": family,
                "shown": bounds is not None and bool(np.sign(bounds[0]) == np.sign(bounds[1]) != 0),
            }
        )
    return rows
