"""docs/statistics.md: its worked example, recomputed from its own tables with scipy and statsmodels."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.formula.api import ols
from statsmodels.stats.weightstats import ttost_paired

from foveate.evaluation.estimates import over_seeds, over_seeds_and_images
from foveate.evaluation.improvement import chance_of_improvement

EXAMPLE = (
    (Path(__file__).parents[1] / "docs" / "statistics.md")
    .read_text(encoding="utf-8")
    .split("## A worked example")[1]
    .split("\n## ")[0]
)
SENTENCES = " ".join(EXAMPLE.split())


def printed(pattern: str) -> list[float]:
    """The numbers at each # of `pattern`, which must stand in the example."""
    found = re.search(pattern.replace("#", r"(\d+\.\d+)"), SENTENCES)
    assert found is not None, pattern
    return [float(number) for number in found.groups()]


def test_the_example_of_five_seeds():
    rows = np.array(
        re.findall(r"^\| \d \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", EXAMPLE, re.MULTILINE), float
    )
    a, b, d = rows.T
    assert d == pytest.approx(b - a)
    test = stats.ttest_rel(b, a)
    mean, std = printed(r"D = # points, S = # points")
    assert (mean, std) == pytest.approx((d.mean(), d.std(ddof=1)), abs=5e-4)
    error, t, p, low, high = printed(
        "√5 = #, and t = # with 4 degrees of freedom: p = #, 95 % interval # to #"
    )
    assert error == pytest.approx(stats.sem(d), abs=5e-5)
    assert (t, p) == (pytest.approx(test.statistic, abs=5e-3), pytest.approx(test.pvalue, abs=5e-5))
    assert (low, high) == pytest.approx(tuple(test.confidence_interval()), abs=5e-4)
    _, above, below = ttost_paired(b, a, -0.5, 0.5)
    assert printed(r"are # \(over −0.5\) and # \(under 0.5\)") == pytest.approx(
        [above[1], below[1]], abs=5e-5
    )
    chance, lower, upper = printed(r"= #, with the 95 % interval # to #")
    effect = d.mean() / d.std(ddof=1)
    assert chance == pytest.approx(stats.norm.cdf(effect), abs=5e-4)
    for end, tail in ((lower, 0.975), (upper, 0.025)):
        shift = optimize.brentq(lambda nc, at=tail: stats.nct.cdf(test.statistic, 4, nc) - at, 0.1, 20)
        assert end == pytest.approx(stats.norm.cdf(shift / np.sqrt(5)), abs=5e-4)
    estimate, improvement = over_seeds(list(d), d.std(ddof=1)), chance_of_improvement(list(d), d.std(ddof=1))
    assert estimate.p_different == pytest.approx(test.pvalue)
    assert improvement.ci95 == pytest.approx((lower, upper), abs=1e-3)


def test_the_example_of_seeds_and_images():
    block = re.search(r"```text\n(.*?)```", EXAMPLE, re.DOTALL)
    d = np.array([line.split() for line in block[1].strip().splitlines()], float)
    assert d.shape == (3, 20)
    rows = [{"d": d[s, i], "seed": s, "image": i} for s in range(3) for i in range(20)]
    a, b, e = sm.stats.anova_lm(ols("d ~ C(seed) + C(image)", pd.DataFrame(rows)).fit())["mean_sq"]
    assert printed(r"MS_a = #, MS_b = # and MS_e = #") == pytest.approx([a, b, e], abs=5e-5)
    error, p = printed(r"standard error is # with 2 degrees of freedom, p = #")
    test = stats.ttest_1samp(d.mean(axis=1), 0)
    assert (error, p) == (
        pytest.approx(stats.sem(d.mean(axis=1)), abs=5e-5),
        pytest.approx(test.pvalue, abs=5e-4),
    )
    seeds, images = a / d.size, (b - e) / d.size
    p_new = optimize.brentq(
        lambda p: stats.t.isf(p / 2, 2) ** 2 * seeds + stats.t.isf(p / 2, 19) ** 2 * images - d.mean() ** 2,
        1e-6,
        1 - 1e-6,
    )
    assert printed("V_a = # and V_b = #") == pytest.approx([seeds, images], abs=5e-7)
    error, p = printed(r"V_b = \d+\.\d+, the standard error is #, and p = #")
    assert error == pytest.approx(np.sqrt(seeds + images), abs=5e-5)
    assert p == pytest.approx(p_new, abs=5e-4)
    assert over_seeds_and_images(d).p_different == pytest.approx(p_new)
