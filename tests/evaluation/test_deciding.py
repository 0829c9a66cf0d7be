import importlib
from pathlib import Path

import numpy as np
from scipy import stats

from foveate.evaluation.deciding import (
    BETTER,
    EQUIVALENT,
    OPEN,
    WORSE,
    Boundary,
    decide_all,
    expect_seeds,
    make_boundary,
)

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
BOUNDARY = Boundary(looks=(3, 4, 5), different=(0.01, 0.02, 0.05), equivalent=(0.005, 0.02, 0.05))


def slowly(differences, margin):
    """Decide one comparison by scipy's tests."""
    for n, different, equivalent in zip(*vars(BOUNDARY).values(), strict=True):
        seen = differences[:n]
        if stats.ttest_1samp(seen, 0).pvalue < different:
            return (BETTER if np.mean(seen) > 0 else WORSE), n
        one_sided = (
            stats.ttest_1samp(seen, margin, alternative="less").pvalue,
            stats.ttest_1samp(seen, -margin, alternative="greater").pvalue,
        )
        if max(one_sided) < equivalent:
            return EQUIVALENT, n
    return OPEN, 5


def test_decisions_are_those_of_the_tests_one_at_a_time():
    random = np.random.default_rng(1)
    differences = random.normal([[0.0], [0.4], [-1.0]] * 100, [[0.3]] * 150 + [[0.6]] * 150, (300, 5))
    found = decide_all(differences, BOUNDARY, 0.8)
    expected = [slowly(row, 0.8) for row in differences]
    assert [*zip(found.outcomes, found.pairs, strict=True)] == expected
    assert {outcome for outcome, _ in expected} == {OPEN, BETTER, WORSE, EQUIVALENT}


def test_equal_differences_decide_nothing():
    found = decide_all(np.full((1, 5), 0.25), BOUNDARY, 1.0)
    assert (found.outcomes[0], found.pairs[0]) == (OPEN, 5)


def test_alpha_is_divided_among_the_comparisons():
    one, four = (make_boundary(3, 8, 0.05, comparisons, "pocock", paths=100_000) for comparisons in (1, 4))
    assert one.looks == four.looks == (3, 4, 5, 6, 7, 8)
    assert all(a > 3 * b for a, b in zip(one.different, four.different, strict=True))
    assert all(
        a > b / 2 for a, b in zip(one.equivalent, one.different, strict=True)
    )  # a side of alpha, not a half


def test_a_small_spread_takes_few_seeds_and_a_large_one_the_budget():
    boundary = make_boundary(3, 12, 0.05, 2, "obrien-fleming", paths=100_000)
    easy, hard, far = (
        expect_seeds(spread, 1.0, boundary, [true], studies=2000)[0]
        for spread, true in ((0.2, 0.0), (5.0, 0.0), (5.0, 50.0))
    )
    assert easy.low <= easy.median <= easy.high < 8
    assert easy.decided == 1
    assert (hard.median, hard.high) == (12, 12)
    assert hard.decided < 0.05
    assert far.decided == 1


def test_whole_studies_err_in_at_most_one_of_twenty(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    simulate = importlib.import_module("until_decided").simulate
    (row,) = simulate(20_000, 2, "new-images", [3], [8], ["obrien-fleming"])
    assert row["wrong"] <= 0.05 + 0.0031  # two standard errors of 20,000 studies
    assert row["wrong"] >= 0.03
    assert row["unspent"] > 0.09  # who tests after each seed at the whole level
    assert row["decided"] > 0.5
