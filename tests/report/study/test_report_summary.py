import json
import math

import pytest
from synthetic_study import edit_json, epochs_of, run_record, write_study

from foveate.evaluation.power import detectable_difference
from foveate.evaluation.significance import Outcome
from foveate.evaluation.statistics import pooled_std
from foveate.records.metric import CLASSIFICATION, Metric
from foveate.records.study import read_study
from foveate.report.study.dynamics import epochs_to_95
from foveate.report.study.summarise import summarise

ACCURACY = CLASSIFICATION.primary


def summary_of(folder, **options):
    return summarise(read_study(write_study(folder, **options)))


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, float) else []


def test_known_effects(tmp_path):
    summary = summary_of(tmp_path)
    assert [row.attention for row in summary.rows] == ["none", "se", "cbam", "dmsca"]
    assert [(test.a, test.b) for test in summary.comparisons] == [
        *(("none", "se"), ("none", "cbam"), ("none", "dmsca")),
        *(("se", "cbam"), ("se", "dmsca"), ("cbam", "dmsca")),
    ]
    assert [test.outcome for test in summary.against_baseline.values()] == [
        *(Outcome.BETTER, Outcome.WORSE, Outcome.BETTER),
    ]
    dmsca = summary.against_baseline["dmsca"]
    assert dmsca.test.difference == pytest.approx(0.021, abs=0.003)
    assert dmsca.test.p < dmsca.p_adjusted < 0.01
    assert summary.alpha_per_test == pytest.approx(0.05 / 6)
    assert summary.anova.df == (3, 12)
    assert summary.missing == ()


def test_costs_are_set_against_the_baseline(tmp_path):
    baseline, se, _, _ = summary_of(tmp_path).rows
    assert baseline.price.parameters_increase_percent == 0
    assert baseline.efficiency_score is None
    assert se.price.parameters_increase_percent == pytest.approx(100 * (272_362 / 269_722 - 1))
    assert se.price.latency_increase_percent == pytest.approx(100 * (2.48 / 2.11 - 1))
    gain = 100 * (se.scores["accuracy"].mean - baseline.scores["accuracy"].mean)
    assert se.efficiency_score == pytest.approx(gain / se.price.parameters_increase_percent)


def test_no_efficiency_score_without_an_increase(tmp_path):
    folder = write_study(tmp_path, seeds=2)
    rows = json.loads((folder / "cost.json").read_text())["rows"]
    edit_json(folder / "cost.json", rows=rows | {"se": rows["none"]})
    assert summarise(read_study(folder)).rows[1].efficiency_score is None


def test_detectable_difference_pools_the_spread_to_the_baseline(tmp_path):
    summary = summary_of(tmp_path, failed=("cbam", 1))
    tests = [test.test for test in summary.against_baseline.values()]
    assert [test.n for test in tests] == [5, 4, 5]
    pooled = pooled_std([(test.std, test.n) for test in tests])
    assert summary.detectable_difference == pytest.approx(detectable_difference(pooled, 4, 0.05 / 6, 0.8))
    assert summary.anova.n == 4


def test_one_seed_gives_no_tests(tmp_path):
    summary = summary_of(tmp_path, seeds=1)
    assert all(test.outcome is Outcome.UNTESTED and test.test.n == 1 for test in summary.comparisons)
    assert summary.anova is None
    assert summary.detectable_difference is None
    assert summary.rows[0].scores["accuracy"].std is None


def test_values_equal_over_seeds_give_no_nan(tmp_path):
    summary = summary_of(tmp_path, noise=0.0)
    assert all(test.test.p is None and test.test.cohens_d is None for test in summary.comparisons)
    assert summary.anova is None
    numbers = numbers_in(json.loads(json.dumps(summary.to_json(), allow_nan=False)))
    assert len(numbers) > 100
    assert all(map(math.isfinite, numbers))


def test_without_the_baseline_there_are_no_increases(tmp_path):
    summary = summary_of(tmp_path, gains={"se": 0.0, "cbam": 0.02})
    assert summary.detectable_difference is None
    assert all(row.price.increases == (None, None, None) for row in summary.rows)
    assert len(summary.comparisons) == 1


def test_without_cost_the_rest_stands(tmp_path):
    folder = write_study(tmp_path, seeds=2)
    (folder / "cost.json").unlink()
    row = summarise(read_study(folder)).rows[1]
    price = row.price
    assert (price.parameters, price.macs, price.latency_ms_p50, row.efficiency_score) == (None,) * 4


def test_mechanisms_without_a_common_seed_are_not_compared(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.0}, seeds=2, unfinished=("none", 0))
    run_record(folder, "se", 1).unlink()
    (test,) = summarise(read_study(folder)).comparisons
    assert (test.test.n, test.test.difference, test.outcome) == (0, None, Outcome.UNTESTED)


def test_epochs_to_95_by_hand():
    assert epochs_to_95(epochs_of(0.5, 0.94, 0.96, 0.9, 1.0), ACCURACY) == 3
    error = Metric(name="accuracy", title="Error", higher_is_better=False)
    assert epochs_to_95(epochs_of(0.9, 0.22, 0.21, 0.3, 0.2), error) == 3  # at most 0.2 / 0.95
