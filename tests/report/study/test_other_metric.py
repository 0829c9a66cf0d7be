"""A study of another task, whose primary metric is an error: the smaller, the better.

Its error is 1 - accuracy of a study of classification, so that all that is found must be the same.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic_study import edit_json, write_study

from foveate.evaluation.significance import Outcome
from foveate.records.metric import Metric, TaskRecord
from foveate.records.study import read_study
from foveate.report.core.files import as_markdown
from foveate.report.study import tables
from foveate.report.study.build import build_report
from foveate.report.study.console import console_table
from foveate.report.study.contrasts import contrasts_table
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary

ERROR = Metric(name="error", title="Count error", unit="number", higher_is_better=False, high=None, digits=4)
TASK = TaskRecord(name="counting", metrics=(ERROR,))
GAINS = {"none": 0.0, "se": 0.012, "cbam": -0.012, "dmsca": 0.021}
CONTRASTS = [{"a": "none", "b": "dmsca", "title": "AA", "group": "alone"}]


def as_errors(folder: Path, **study: Any) -> Path:
    """Rewrite a study of classification as one of counting."""
    edit_json(folder / "study.json", task=TASK.to_json(), **study)
    for path in folder.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        for epoch in result["epochs"]:
            for part in ("train", "validation"):
                epoch[f"{part}_error"] = 1 - epoch.pop(f"{part}_accuracy")
        edit_json(path, test={"error": 1 - result["test"]["accuracy"]}, epochs=result["epochs"])
    return folder


@pytest.fixture(scope="module")
def of_accuracy(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise(read_study(write_study(tmp_path_factory.mktemp("accuracy"), gains=GAINS)))


@pytest.fixture(scope="module")
def of_error(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return build_report(as_errors(write_study(tmp_path_factory.mktemp("error"), gains=GAINS)))


def test_every_comparison_has_the_sign_of_the_metric(of_accuracy: Summary, of_error: Summary) -> None:
    outcomes = {label: test.outcome for label, test in of_error.against_baseline.items()}
    assert outcomes == {"se": Outcome.BETTER, "cbam": Outcome.WORSE, "dmsca": Outcome.BETTER}
    for one, other in zip(of_accuracy.comparisons, of_error.comparisons, strict=True):
        assert other.outcome is one.outcome
        assert other.gain == pytest.approx(one.gain)
        assert other.test.difference == pytest.approx(-one.test.difference)
    assert [row.efficiency_score for row in of_error.rows[1:]] == pytest.approx(
        [row.efficiency_score / 100 for row in of_accuracy.rows[1:]]
    )


def test_the_verdict_takes_the_one_with_the_smallest_error(of_accuracy: Summary, of_error: Summary) -> None:
    assert of_error.verdict[0] == of_accuracy.verdict[0]
    assert of_error.verdict[0].startswith("Take dmsca")
    said = [
        re.match(r"\w+ is (better|worse) than the baseline by 0\.\d{4} of count error", sentence)
        for sentence in of_error.verdict[2:5]
    ]
    assert [match and match[1] for match in said] == ["better", "better", "worse"]


def test_networks_are_ranked_from_the_smallest_error(tmp_path: Path) -> None:
    gains = {"resnet18": 0.0, "convnext": 0.02, "twin": 0.0201}
    folder = as_errors(write_study(tmp_path, gains=gains), design={"kind": "networks"})
    headline = summarise(read_study(folder)).verdict[0]
    assert re.match(r"(twin|convnext) has the lowest mean; (twin|convnext) could not be told apart", headline)


def test_tables_have_its_title_unit_and_digits(of_error: Summary) -> None:
    results = tables.results_table(of_error)
    assert [column.title for column in results.columns][:3] == ["Mechanism", "Count error", "Parameters"]
    mean = of_error.rows[0].scores["error"].mean
    assert results.rows[0][1].main.startswith(f"{mean:.4f} ± ")
    assert [row[-1].detail for row in results.rows] == ["", "better", "worse", "better"]
    tests = tables.tests_table(of_error)
    assert tests.columns[1].title == "Difference"
    assert tests.rows[2][1].main == f"{of_error.comparisons[2].test.difference:+.4f}".replace("-", "−")
    assert tables.training_table(of_error).columns[2].title == "Fluctuation"


def test_gains_of_planned_comparisons_are_positive_where_it_is_better(tmp_path: Path) -> None:
    folder = write_study(tmp_path, gains=GAINS)
    summary = summarise(read_study(as_errors(folder, design={"kind": "ablate", "contrasts": CONTRASTS})))
    (row,) = contrasts_table(summary).rows
    low, high = row[1].detail.split(" to ")
    assert 0 < float(low) < float(row[1].main) < float(high)
    assert row[2].detail == "gain"
    assert "a gain of" in summary.verdict[2]


def test_nothing_that_is_written_calls_it_accuracy(of_error: Summary) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(console_table(of_error))
    report = of_error.report.parent
    page = re.sub(r"<script.*?</script>|<style.*?</style>", "", of_error.report.read_text(), flags=re.S)
    texts = [
        console.file.getvalue(),
        page,
        as_markdown(tables.results_table(of_error)),
        as_markdown(tables.tests_table(of_error)),
    ]
    texts += [path.read_text() for path in report.glob("*.csv")]
    assert [re.search("accura.{20}", text, flags=re.I) for text in texts] == [None] * len(texts)
    assert not {"per_class.csv", "confusion.csv"} & {path.name for path in report.iterdir()}
    assert json.loads(json.dumps(of_error.to_json(), allow_nan=False))["study"]["task"]["name"] == "counting"
