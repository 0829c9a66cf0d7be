import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_study import edit_json, write_study

from foveate.records.study import StudyRecords, read_study
from foveate.report.core.files import as_pdf, as_svg
from foveate.report.core.theme import Figure
from foveate.report.study.charts import figures
from foveate.report.study.class_changes import MANY_CLASSES
from foveate.report.study.confusions import find_confusions
from foveate.report.study.numbers import class_numbers
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary

Drawn = tuple[StudyRecords, Summary, dict[str, Figure]]

ERROR = {"name": "error", "title": "Error", "unit": "number", "higher_is_better": False, "digits": 3}


def drawn(folder: Path) -> Drawn:
    records = read_study(folder)
    summary = summarise(records)
    return (
        records,
        summary,
        {figure.name: figure for figure in figures(summary, records, find_confusions(records))},
    )


def edit_runs(folder: Path, change: Any) -> None:
    for path in folder.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        change(result)
        edit_json(path, **result)


def to_error(result: dict[str, Any]) -> None:
    """Let a run be of a task whose primary metric is an error."""
    result["test"] = {"error": 1 - result["test"]["accuracy"]}
    for epoch in result["epochs"]:
        for part in ("train", "validation"):
            epoch[f"{part}_error"] = 1 - epoch.pop(f"{part}_accuracy")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Drawn:
    return drawn(write_study(tmp_path_factory.mktemp("charts"), seeds=3))


@pytest.fixture(scope="module")
def error_study(tmp_path_factory) -> Drawn:
    """The same study by an error: what is a gain there is a smaller value here."""
    folder = write_study(tmp_path_factory.mktemp("error"), seeds=3)
    edit_runs(folder, to_error)
    edit_json(folder / "study.json", task={"name": "made up", "metrics": [ERROR]})
    return drawn(folder)


def test_makes_every_figure_and_draws_it_without_a_warning(study):
    _, _, made = study
    assert list(made) == [
        *("accuracy_latency", "accuracy_parameters", "accuracy_macs", "differences"),
        *("curve_train_loss", "curve_validation_loss", "curve_train_accuracy", "curve_validation_accuracy"),
        *("paying_0", "paying_1", "paying_2"),
        *("per_class", "class_changes", "confusion_0", "confusion_1", "confusion_2", "confusion_3"),
    ]
    for figure in made.values():
        svg = as_svg(figure)
        assert svg.startswith("<svg")
        assert "NaN" not in svg
        assert figure.spec["width"] == "container"
    assert as_pdf(as_svg(made["differences"])).startswith(b"%PDF")


def test_differences_are_those_of_the_tests_and_their_seeds(study):
    records, summary, made = study
    margin, _, intervals, dots, diamonds = made["differences"].spec["layer"]
    assert margin["data"]["values"] == [{"from": -0.5, "to": 0.5}]
    found = {row["mechanism"]: row for row in intervals["data"]["values"]}
    assert list(found) == [*summary.against_baseline]
    for label, test in summary.against_baseline.items():
        expected = [100 * test.test.difference, *(100 * bound for bound in test.test.ci95)]
        assert [found[label][key] for key in ("difference", "low", "high")] == pytest.approx(expected)
    own = [dot for dot in dots["data"]["values"] if dot["mechanism"] == "se"]
    of_seed = [
        records.results["se"][n].test.accuracy - records.results["none"][n].test.accuracy for n in range(3)
    ]
    assert [dot["difference"] for dot in own] == pytest.approx([100 * value for value in of_seed])
    assert diamonds["encoding"]["x"]["title"] == "Difference to the baseline, points"


def test_an_error_has_its_own_names_axes_and_direction(study, error_study):
    _, summary, made = error_study
    assert list(made) == [
        *("error_latency", "error_parameters", "error_macs", "differences"),
        *("curve_train_loss", "curve_validation_loss", "curve_train_error", "curve_validation_error"),
        *("paying_0", "paying_1", "paying_2"),
    ]
    titles = {name: figure.spec["layer"][-1]["encoding"]["y"].get("title") for name, figure in made.items()}
    assert titles["error_latency"] == "Test error"
    assert titles["curve_train_error"] == "Training error"
    difference = made["differences"].spec["layer"][-1]["encoding"]["x"]["title"]
    assert difference == "Difference to the baseline"
    front = made["error_parameters"].spec["data"]["values"]
    assert [point["front"] for point in front] == [
        point["front"] for point in study[2]["accuracy_parameters"].spec["data"]["values"]
    ]
    assert summary.against_baseline["dmsca"].test.difference < 0 < summary.against_baseline["dmsca"].gain
    for figure in made.values():
        assert "NaN" not in as_svg(figure)


def test_planned_comparisons_are_drawn_as_gains(tmp_path):
    """Of an error a difference below zero is a gain, for the estimate, its interval and the single seeds."""
    folder = write_study(tmp_path, gains={"none": 0.0, "dmsca": 0.02}, seeds=3)
    contrast = {"a": "none", "b": "dmsca", "title": "DMSCA", "group": "all of it"}
    edit_runs(folder, to_error)
    task = {"name": "made up", "metrics": [ERROR]}
    edit_json(folder / "study.json", task=task, design={"kind": "ablate", "contrasts": [contrast]})
    _, summary, made = drawn(folder)
    (test,) = summary.comparisons
    _, interval, dots, diamonds = made["contrasts"].spec["layer"]
    (row,) = interval["data"]["values"]
    assert row["gain"] == pytest.approx(-test.test.difference)
    assert (row["low"], row["high"]) == pytest.approx((-test.test.ci95[1], -test.test.ci95[0]))
    assert min(dot["gain"] for dot in dots["data"]["values"]) > 0
    assert diamonds["encoding"]["x"]["title"] == "Gain in test error"
    assert made["contrasts"].description == (
        f"Gains of the planned comparisons: DMSCA, all of it +{test.gain:.3f}."
    )


def test_without_the_baseline_or_cost_those_figures_are_not_there(tmp_path):
    folder = write_study(tmp_path, gains={"se": 0.0, "dmsca": 0.01}, seeds=2)
    (folder / "cost.json").unlink()
    _, _, made = drawn(folder)
    assert "differences" not in made
    assert not [name for name in made if name.startswith("accuracy_")]


def test_of_many_classes_the_hardest_are_drawn(tmp_path):
    classes = [f"c{n}" for n in range(100)]
    _, _, made = drawn(write_study(tmp_path, gains={"none": 0.0, "se": 0.0}, seeds=1, classes=classes))
    assert len({row["class"] for row in made["per_class"].spec["data"]["values"]}) == MANY_CLASSES
    assert "confusion_0" not in made


@pytest.mark.parametrize("nothing", [None, 0.0])  # as foveate 0.1.0 recorded it
def test_classes_without_test_images_are_in_no_figure_and_no_number(tmp_path, nothing):
    def without_b(result: dict[str, Any]) -> None:
        scores = dict.fromkeys(("accuracy", "precision", "recall", "f1"), nothing)
        result["test"]["per_class"][1] |= scores | {"support": 0}
        result["test"]["confusion"][1] = [0, 0, 0]

    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2, classes=["a", "b", "c"])
    edit_runs(folder, without_b)
    records, summary, made = drawn(folder)
    assert summary.untested_classes == ("b",)
    assert [change.name for change in summary.class_changes] == ["a", "c"]
    assert {change.family for change in summary.class_changes} == {2}
    for name in ("per_class", "class_changes"):
        assert {row["class"] for row in made[name].spec["data"]["values"]} == {"a", "c"}
    assert "NaN" not in as_svg(made["confusion_0"])
    numbers = [row for row in class_numbers(records) if row["class"] == "b"]
    assert len(numbers) == 4
    assert {row[score] for row in numbers for score in ("accuracy", "precision", "recall", "f1")} == {None}
