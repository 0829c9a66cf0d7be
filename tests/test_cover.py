"""The cover that `make test` runs of a large product has what it promises, and is small."""

import itertools

import pytest

from cover import cover

CASES = list(itertools.product("abcde", range(3), [(1, 2), (3, 4)]))


def chosen(*together: tuple[int, ...]) -> list[tuple]:
    return [case.values for case in cover(CASES, *together) if pytest.mark.full not in case.marks]


def test_it_has_each_value_once():
    cases = chosen()
    assert len(cases) == 5
    assert [set(values) for values in zip(*cases, strict=True)] == [
        set(values) for values in zip(*CASES, strict=True)
    ]


def test_it_has_each_combination_of_a_group():
    cases = chosen((0, 1), (2,))
    assert len(cases) == 15
    assert {case[:2] for case in cases} == {case[:2] for case in CASES}
    assert {case[2] for case in cases} == {(1, 2), (3, 4)}


def test_no_case_is_lost_and_the_choice_is_the_same_again():
    assert [case.values for case in cover(CASES)] == CASES
    assert chosen() == chosen()
