import json
import math

import pytest
from synthetic_study import edit_json, run_record, write_study

from foveate.evaluation.statistics import detectable_difference, pooled_std
from foveate.records.study import read_records
from foveate.report.study.dynamics import epochs_to_95
from foveate.report.study.summary import summarise


def summary_of(folder, **options):
    return summarise(read_records(write_study(folder, **options)))


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, float) else []


def test_shape_and_known_effects(tmp_path):
    summary = summary_of(tmp_path)
    assert list(summary) == [
        *("study", "rows", "tests", "anova", "detectable_difference", "class_changes"),
        *("untested_classes", "missing", "report", "verdict"),
    ]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert [row["attention"] for row in summary["rows"]] == ["none", "se", "cbam", "dmsca"]
    assert [(test["a"], test["b"]) for test in summary["tests"]] == [
        *(("none", "se"), ("none", "cbam"), ("none", "dmsca")),
        *(("se", "cbam"), ("se", "dmsca"), ("cbam", "dmsca")),
    ]
    dmsca = next(test for test in summary["tests"] if test["b"] == "dmsca")
    assert dmsca["difference"] == pytest.approx(0.021, abs=0.003)
    assert dmsca["p"] < dmsca["p_adjusted"] < 0.01
    assert summary["study"]["statistics"]["alpha_per_test"] == pytest.approx(0.05 / 6)
    assert summary["anova"]["df"] == [3, 12]
    assert summary["missing"] == []


def test_costs_are_set_against_plain(tmp_path):
    plain, se, _, _ = summary_of(tmp_path)["rows"]
    assert plain["parameters_increase_percent"] == 0
    assert plain["efficiency_score"] is None
    assert se["parameters_increase_percent"] == pytest.approx(100 * (272_362 / 269_722 - 1))
    assert se["latency_increase_percent"] == pytest.approx(100 * (2.48 / 2.11 - 1))
    gain = 100 * (se["accuracy"]["mean"] - plain["accuracy"]["mean"])
    assert se["efficiency_score"] == pytest.approx(gain / se["parameters_increase_percent"])


def test_no_efficiency_score_without_an_increase(tmp_path):
    folder = write_study(tmp_path, seeds=2)
    rows = json.loads((folder / "cost.json").read_text())["rows"]
    edit_json(folder / "cost.json", rows=rows | {"se": rows["none"]})
    assert summarise(read_records(folder))["rows"][1]["efficiency_score"] is None


def test_detectable_difference_pools_the_spread_to_plain(tmp_path):
    summary = summary_of(tmp_path, failed=("cbam", 1))
    to_plain = [test for test in summary["tests"] if test["a"] == "none"]
    assert [test["n"] for test in to_plain] == [5, 4, 5]
    pooled = pooled_std([(test["std"], test["n"]) for test in to_plain])
    assert summary["detectable_difference"] == pytest.approx(detectable_difference(pooled, 4, 0.05 / 6, 0.8))
    assert summary["anova"]["n"] == 4


def test_one_seed_gives_no_tests(tmp_path):
    summary = summary_of(tmp_path, seeds=1)
    assert all(test["p"] is None and test["n"] == 1 for test in summary["tests"])
    assert summary["anova"] is None
    assert summary["detectable_difference"] is None
    assert summary["rows"][0]["accuracy"]["std"] is None


def test_values_equal_over_seeds_give_no_nan(tmp_path):
    summary = summary_of(tmp_path, noise=0.0)
    assert all(math.isfinite(number) for number in numbers_in(summary))
    assert all(test["p"] is None for test in summary["tests"])
    assert summary["anova"] is None


def test_without_plain_there_are_no_increases(tmp_path):
    summary = summary_of(tmp_path, gains={"se": 0.0, "cbam": 0.02})
    assert summary["detectable_difference"] is None
    assert all(row["macs_increase_percent"] is None for row in summary["rows"])
    assert all(row["latency_increase_percent"] is None for row in summary["rows"])
    assert len(summary["tests"]) == 1


def test_without_cost_the_rest_stands(tmp_path):
    folder = write_study(tmp_path, seeds=2)
    (folder / "cost.json").unlink()
    row = summarise(read_records(folder))["rows"][1]
    assert (row["parameters"], row["macs"], row["latency_ms_p50"], row["efficiency_score"]) == (None,) * 4


def test_mechanisms_without_a_common_seed_are_not_compared(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.0}, seeds=2, unfinished=("none", 0))
    run_record(folder, "se", 1).unlink()
    summary = summarise(read_records(folder))
    assert (summary["tests"][0]["n"], summary["tests"][0]["difference"]) == (0, None)


def test_epochs_to_95_by_hand():
    accuracies = [0.5, 0.94, 0.96, 0.9, 1.0]
    epochs = [{"epoch": n, "validation_accuracy": value} for n, value in enumerate(accuracies, start=1)]
    assert epochs_to_95(epochs) == 3
