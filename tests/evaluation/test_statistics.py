import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multitest import multipletests

from foveate.errors import RequestError
from foveate.evaluation.intervals import SHARE
from foveate.evaluation.statistics import (
    Description,
    adjust_family,
    adjust_p_values,
    describe,
    paired_test,
    pooled_std,
    repeated_measures_anova,
)

# Extra hours of sleep of ten patients under two drugs: Student, Biometrika 6 (1908).
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]

fractions = st.floats(0, 1).map(lambda value: round(value, 4))


def test_describe_by_hand():
    described = describe([1, 2, 3, 4, 5])
    assert described.mean == 3
    assert described.std == pytest.approx(math.sqrt(2.5))
    # t(0.975; 4) = 2.776; 2.776 · 1.5811 / √5 = 1.963
    assert described.ci95 == pytest.approx([1.037, 4.963], abs=1e-3)
    assert described.values == (1, 2, 3, 4, 5)


def test_describe_without_spread_claims_no_interval():
    assert describe([0.9]) == Description(0.9, None, None, (0.9,))
    assert describe([0.1 + 0.2, 0.3, 0.3]).std == 0
    assert describe([0.1 + 0.2, 0.3, 0.3]).ci95 is None
    assert describe([]).mean is None


def test_paired_test_gives_students_published_figures():
    test = paired_test(DRUG_1, DRUG_2)
    assert test.difference == pytest.approx(1.58)
    assert test.cohens_d * math.sqrt(10) == pytest.approx(4.0621, abs=1e-4)
    assert test.p == pytest.approx(0.002833, abs=1e-6)
    assert test.ci95 == pytest.approx([0.7001142, 2.4598858], abs=1e-6)
    assert test.cohens_d == pytest.approx(1.58 / 1.2300, abs=1e-4)
    assert test.n == 10


@given(st.lists(st.tuples(fractions, fractions), min_size=0, max_size=8))
def test_paired_test_agrees_with_scipy_and_is_never_nan(pairs):
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    test = paired_test(a, b)
    numbers = [test.difference, test.std, test.p, test.cohens_d, *(test.ci95 or [])]
    assert all(number is None or math.isfinite(number) for number in numbers)
    if test.std:
        assert test.p == pytest.approx(stats.ttest_rel(b, a).pvalue, abs=1e-9)


def test_paired_test_in_degenerate_cases():
    assert paired_test([0.9], [0.8]).p is None
    equal = paired_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert equal.difference == 0
    assert (equal.p, equal.cohens_d, equal.ci95) == (None, None, None)
    shifted = paired_test([0.1, 0.2, 0.3], [0.2, 0.3, 0.4])
    assert shifted.difference == pytest.approx(0.1)
    assert (shifted.p, shifted.cohens_d, shifted.ci95) == (None, None, None)
    with pytest.raises(ValueError, match="got 1 and 2"):
        paired_test([0.1], [0.1, 0.2])


def test_equal_differences_of_float32_are_equal():
    a = np.float32([30 / 70, 45 / 70])
    b = np.float32([33 / 70, 48 / 70])
    assert (b - a)[0] != (b - a)[1]
    for bounds in (SHARE, None):
        test = paired_test(a.tolist(), b.tolist(), bounds)
        assert test.difference == pytest.approx(3 / 70)
        assert test.std == 0
        assert (test.p, test.cohens_d, test.ci95) == (None, None, None)
    assert describe(np.float32([1e-4, 1e-4 * (1 + 1e-7)]).tolist()).ci95 is None
    assert repeated_measures_anova(np.stack([a, b], axis=1)) is None


def test_one_image_of_fifty_thousand_is_a_difference():
    test = paired_test([0.5, 0.5], [0.6, 0.6 + 2e-5], SHARE)
    assert test.std == pytest.approx(2e-5 / math.sqrt(2))
    assert test.p < 0.001


def test_a_test_without_spread_counts_in_the_family():
    tests = [
        paired_test([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]),
        paired_test(DRUG_1, DRUG_2),
        paired_test([0.1], [0.2]),
    ]
    assert adjust_family(tests) == [None, pytest.approx(2 * tests[1].p), None]


def test_adjustments_by_hand():
    p_values = [0.01, 0.04, None, 0.03, 0.005]
    assert adjust_p_values(p_values, "bonferroni") == pytest.approx([0.04, 0.16, None, 0.12, 0.02])
    # Holm: 4·0.005, 3·0.01, 2·0.03, then 1·0.04 lifted to the one before it.
    assert adjust_p_values(p_values) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert adjust_p_values([None, None]) == [None, None]
    with pytest.raises(RequestError, match=r"unknown adjustment of p values 'bonferoni'.*'bonferroni'"):
        adjust_p_values([0.1], "bonferoni")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(["holm", "bonferroni"]))
def test_adjusted_p_values_agree_with_statsmodels(p_values, method):
    assert adjust_p_values(p_values, method) == pytest.approx(multipletests(p_values, method=method)[1])


def test_anova_agrees_with_statsmodels():
    table = np.random.default_rng(3).normal(size=(6, 4)) + np.array([0, 0.3, 0.6, 2])
    long = pd.DataFrame(
        [(seed, label, value) for seed, row in enumerate(table) for label, value in enumerate(row)],
        columns=["seed", "mechanism", "accuracy"],
    )
    theirs = AnovaRM(long, "accuracy", "seed", within=["mechanism"]).fit().anova_table.iloc[0]
    ours = repeated_measures_anova(table)
    assert ours.f == pytest.approx(theirs["F Value"])
    assert ours.df == (theirs["Num DF"], theirs["Den DF"])
    assert ours.p == pytest.approx(theirs["Pr > F"])
    assert 1 / 3 < ours.epsilon < 1
    assert ours.p < ours.p_corrected


def test_anova_of_two_is_the_paired_t_test():
    anova, test = repeated_measures_anova(np.transpose([DRUG_1, DRUG_2])), paired_test(DRUG_1, DRUG_2)
    assert anova.f == pytest.approx((test.cohens_d * math.sqrt(10)) ** 2)
    assert anova.p == pytest.approx(test.p)
    assert anova.epsilon == pytest.approx(1)
    assert anova.p_corrected == pytest.approx(test.p)


def test_anova_where_only_one_mechanism_varies_has_the_lowest_epsilon():
    wave = np.array([0.0, 1.0, -1.0, 2.0])
    table = np.stack([wave, 0 * wave, 0 * wave], axis=1)
    assert repeated_measures_anova(table).epsilon == pytest.approx(1 / 2)


def test_anova_that_cannot_be_made():
    assert repeated_measures_anova([[0.9, 0.8]]) is None
    assert repeated_measures_anova([[0.9], [0.8]]) is None
    assert repeated_measures_anova([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]) is None


def test_pooled_std_by_hand():
    # (4·1 + 9·2) / 3
    assert pooled_std([(2.0, 2), (3.0, 3), (None, 1)]) == pytest.approx(math.sqrt(22 / 3))
    assert pooled_std([(None, 1)]) is None
