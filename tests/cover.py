"""A product of factors as test cases: by default a cover of it runs, and the rest is marked `full`."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def cover(cases: Iterable[Sequence[Any]], *together: Sequence[int]) -> list[Any]:
    """Return the cases for `pytest.mark.parametrize`, with the mark `full` on all but a cover of them.

    In the cover each value at each place of a case occurs at least once, or, where `together` names groups of
    places, each combination of the values at the places of each group. It is chosen greedily, is close to the
    smallest there is, and is the same at every call.
    """
    cases = [tuple(case) for case in cases]
    groups = together or [(place,) for place in range(len(cases[0]))]
    chosen = _choose([[(group, *(repr(case[i]) for i in group)) for group in groups] for case in cases])
    return [
        pytest.param(*case, marks=[] if index in chosen else [pytest.mark.full])
        for index, case in enumerate(cases)
    ]


def _choose(met: list[list[Any]]) -> set[int]:
    """Take the case that meets most of what no case has met yet, of equals the first, until all is met."""
    missing = set(itertools.chain.from_iterable(met))
    chosen = set()
    while missing:
        best = max(range(len(met)), key=lambda index: len(missing.intersection(met[index])))
        chosen.add(best)
        missing.difference_update(met[best])
    return chosen
