import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foveate.evaluation.sequential import SPENDING, nominal_levels, p_over_looks, spent


def test_spending_functions_by_hand():
    # z(0.025) = 1.95996; 1.95996 · √2 = 2.77180; 2 · (1 - Φ(2.77180)) = 0.005575
    assert spent("obrien-fleming", 0.5, 0.05) == pytest.approx(0.005575, abs=1e-6)
    # 0.05 · ln(1 + 1.718282 / 2) = 0.05 · 0.620115
    assert spent("pocock", 0.5, 0.05) == pytest.approx(0.0310057, abs=1e-6)


@pytest.mark.parametrize("spending", SPENDING)
def test_all_of_alpha_is_spent_at_the_last_look_and_never_less_later(spending):
    shares = [spent(spending, n / 20, 0.0125) for n in range(1, 21)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.0125)
    for share, alpha in ((0.0, 0.05), (1.1, 0.05), (0.5, 0.0), (0.5, 1.0)):
        with pytest.raises(ValueError, match="expected a share"):
            spent(spending, share, alpha)


def test_levels_of_many_pairs_are_the_published_ones_of_two_looks():
    # Boundaries 2.963 and 1.969 of Lan and DeMets' function at a one-sided 0.025 and two equal steps.
    (levels,) = nominal_levels([60, 120], 120, [0.025], "obrien-fleming", paths=200_000)
    assert levels == pytest.approx(stats.norm.sf([2.963, 1.969]), rel=0.05)


@pytest.mark.parametrize("spending", SPENDING)
def test_who_rejects_under_the_levels_errs_as_often_as_allowed_at_each_look(spending):
    looks, alpha, studies = [2, 3, 4, 6, 8], 0.05, 200_000
    (levels,) = nominal_levels(looks, 8, [alpha], spending, paths=500_000)
    differences = np.random.default_rng(7).standard_normal((studies, 8))
    rejected = np.zeros(studies, dtype=bool)
    for n, level in zip(looks, levels, strict=True):
        rejected |= stats.ttest_1samp(differences[:, :n], 0, axis=1, alternative="greater").pvalue < level
        may = spent(spending, n / 8, alpha)
        assert rejected.mean() <= may + 2.5 * np.sqrt(may / studies)
    assert rejected.mean() >= 0.95 * alpha  # and the power that alpha buys is not given away


@pytest.mark.parametrize("looks", [[], [1, 2], [3, 3], [4, 3], [3, 9]])
def test_looks_that_cannot_be_are_refused(looks):
    with pytest.raises(ValueError, match="expected looks"):
        nominal_levels(looks, 8, [0.05], "pocock")


def test_the_best_p_of_several_looks_is_adjusted_for_them():
    differences = np.random.default_rng(3).standard_normal((100_000, 6))
    smallest = np.min([stats.ttest_1samp(differences[:, :n], 0, axis=1).pvalue for n in (3, 6)], axis=0)
    for p in (0.5, 0.05, 0.01):
        assert p_over_looks(p, [3, 6], paths=200_000) == pytest.approx((smallest <= p).mean(), rel=0.06)
    assert p_over_looks(0.03, [5]) == 0.03
    assert p_over_looks(1e-7, [3, 4, 5]) == pytest.approx(3e-7)  # the union bound
    assert p_over_looks(1.0, [3, 4, 5]) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-12, 1), st.floats(1e-12, 1))
def test_an_adjusted_p_is_never_smaller_and_keeps_the_order(one, other):
    low, high = sorted((one, other))
    adjusted = [p_over_looks(p, (3, 6, 7), paths=20_000) for p in (low, high)]
    assert low <= adjusted[0] <= adjusted[1] <= 1
