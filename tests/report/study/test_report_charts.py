import json

import pytest
import vl_convert
from synthetic_study import write_study

from foveate.records.study import read_records
from foveate.report.core.files import as_pdf, as_svg
from foveate.report.core.theme import theme
from foveate.report.study.charts import figures, pareto_front
from foveate.report.study.class_changes import MANY_CLASSES
from foveate.report.study.numbers import class_numbers
from foveate.report.study.summary import summarise


def figures_of(folder, **options):
    records = read_records(write_study(folder, **options))
    return {figure.name: figure for figure in figures(summarise(records), records)}


def test_pareto_front_by_hand():
    # The first dominates the second, the third the fourth at its cost; the last two are the same point.
    costs, accuracies = [1, 2, 3, 3, 4, 4], [0.8, 0.7, 0.9, 0.85, 0.95, 0.95]
    assert pareto_front(costs, accuracies) == [True, False, True, False, True, True]


def test_makes_every_figure_and_draws_it_without_a_warning(tmp_path):
    made = figures_of(tmp_path, seeds=3)
    assert list(made) == [
        *("accuracy_latency", "accuracy_parameters", "accuracy_macs", "differences"),
        *("curve_train_loss", "curve_validation_loss", "curve_train_accuracy", "curve_validation_accuracy"),
        *("per_class", "class_changes", "confusion_0", "confusion_1", "confusion_2", "confusion_3"),
    ]
    assert made["accuracy_latency"].description.endswith("On the Pareto front: plain, se, dmsca.")
    for figure in made.values():
        svg = as_svg(figure)
        assert svg.startswith("<svg")
        assert "NaN" not in svg
        assert figure.spec["width"] == "container"
    assert as_pdf(as_svg(made["differences"])).startswith(b"%PDF")


def test_one_specification_follows_both_themes(tmp_path):
    spec = figures_of(tmp_path, seeds=2)["accuracy_latency"].spec | {"width": 400}
    light, dark = (vl_convert.vegalite_to_svg(spec, config=theme(tone)) for tone in ("light", "dark"))
    assert 'fill="#1c2126"' in light
    assert 'fill="#1c2126"' not in dark
    assert 'fill="#e6e9ec"' in dark


def test_without_plain_or_cost_those_figures_are_left_out(tmp_path):
    folder = write_study(tmp_path, gains={"se": 0.0, "dmsca": 0.01}, seeds=2)
    (folder / "cost.json").unlink()
    records = read_records(folder)
    names = [figure.name for figure in figures(summarise(records), records)]
    assert "differences" not in names
    assert not [name for name in names if name.startswith("accuracy_")]


def test_of_many_classes_the_hardest_are_shown(tmp_path):
    made = figures_of(
        tmp_path, gains={"none": 0.0, "se": 0.0}, seeds=1, classes=[f"c{n}" for n in range(100)]
    )
    assert len({row["class"] for row in made["per_class"].spec["data"]["values"]}) == MANY_CLASSES
    assert "confusion_0" not in made


@pytest.mark.parametrize("nothing", [None, 0.0])  # as foveate 0.1.0 recorded it
def test_classes_without_test_images_are_in_no_figure_and_no_number(tmp_path, nothing):
    records = read_records(
        write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2, classes=["a", "b", "c"])
    )
    for by_seed in records.results.values():
        for run in by_seed.values():
            row = run["test"]["per_class"][1]
            row |= dict.fromkeys(("accuracy", "precision", "recall", "f1"), nothing) | {"support": 0}
            run["test"]["confusion"][1] = [0, 0, 0]
    summary = summarise(records)
    assert summary["untested_classes"] == ["b"]
    assert [row["class"] for row in summary["class_changes"]] == ["a", "c"]
    assert {row["family"] for row in summary["class_changes"]} == {2}
    made = {figure.name: figure for figure in figures(summary, records)}
    for name in ("per_class", "class_changes"):
        assert {row["class"] for row in made[name].spec["data"]["values"]} == {"a", "c"}
    assert "NaN" not in as_svg(made["confusion_0"])
    numbers = [row for row in class_numbers(records) if row["class"] == "b"]
    assert len(numbers) == 4
    assert {row[score] for row in numbers for score in ("accuracy", "precision", "recall", "f1")} == {None}


@pytest.mark.parametrize("epochs", [1, 2])
def test_short_curves_have_points_to_see(tmp_path, epochs):
    made = figures_of(tmp_path, gains={"none": 0.0}, seeds=2, epochs=epochs)
    assert '"point"' in json.dumps(made["curve_train_loss"].spec)
    assert as_svg(made["curve_train_loss"])
