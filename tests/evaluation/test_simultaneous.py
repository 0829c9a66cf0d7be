import numpy as np
import pytest
from scipy import stats

from foveate.evaluation.simultaneous import simultaneous_differences

A, B = [0.50, 0.52, 0.49], [0.56, 0.57, 0.56]


def test_one_difference_has_the_interval_that_scipy_gives() -> None:
    (row,) = simultaneous_differences([(A, B)])
    expected = stats.ttest_rel(B, A)
    low, high = expected.confidence_interval(0.95)
    assert row.difference == pytest.approx(0.06)
    assert row.interval == pytest.approx([low, high])
    assert row.p == row.p_adjusted == pytest.approx(expected.pvalue)
    assert row.is_significant
    assert (row.n, row.family) == (3, 1)


def test_five_differences_share_the_level() -> None:
    rows = simultaneous_differences([(A, B)] * 5)
    low, high = stats.ttest_rel(B, A).confidence_interval(1 - 0.05 / 5)
    assert rows[0].interval == pytest.approx([low, high])
    assert rows[0].p_adjusted == pytest.approx(5 * rows[0].p)
    assert rows[0].family == 5


def test_what_one_alone_shows_many_do_not() -> None:
    assert simultaneous_differences([(A, B)])[0].is_significant
    assert not any(row.is_significant for row in simultaneous_differences([(A, B)] * 100))


def test_shown_is_what_the_adjusted_p_says() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        pairs = [(random.normal(0, 1, 4), random.normal(1, 1, 4)) for _ in range(3)]
        for row in simultaneous_differences(pairs):
            assert row.is_significant == (row.p_adjusted < 0.05)


def test_together_they_hold_the_truth_in_nineteen_of_twenty() -> None:
    random = np.random.default_rng(1)
    misses = 0
    for _ in range(400):
        samples = random.normal(0, 1, (6, 5))
        rows = simultaneous_differences([(np.zeros(5), sample) for sample in samples])
        misses += any(row.is_significant for row in rows)
    assert 4 <= misses <= 32  # 20 expected at the level, 5.0e-4 of chance on either side


def test_one_seed_and_equal_differences_have_no_interval() -> None:
    single, equal, nothing = simultaneous_differences(
        [([0.5], [0.6]), ([0.5, 0.5], [0.75, 0.75]), ([0.5, 0.4], [0.5, 0.4])]
    )
    for row in (single, equal, nothing):
        assert row.interval is None
        assert not row.is_significant
    assert single.p is None
    assert equal.p is None
    assert nothing.p is None
    assert single.family == 2


def test_levels_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        simultaneous_differences([(A, B)], level=95)
