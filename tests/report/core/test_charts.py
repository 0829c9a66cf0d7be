"""The charts that all sections share: what they draw of typed rows, and that they follow the metric."""

from typing import Any

import pytest
import vl_convert

from foveate.records.metric import Metric
from foveate.report.core.charts.axes import Axis, Caption, difference_axis, metric_axis
from foveate.report.core.charts.band import EPOCHS, BandLine, BandPoint, Steps, band_figure
from foveate.report.core.charts.cost import CostPoint, cost_figure, costs_of_studies_figure, pareto_front
from foveate.report.core.charts.forest import DENSE, Dot, ForestRow, Heading, forest_figure
from foveate.report.core.charts.stepped import Step, stepped_figure
from foveate.report.core.files import as_svg
from foveate.report.core.theme import BASELINE_COLOUR, COLOURS, Figure, mechanism_colours, theme

ACCURACY = Metric(name="accuracy", title="Accuracy")
ERROR = Metric(name="error", title="Error", unit="number", higher_is_better=False, high=None, digits=3)
CAPTION = Caption("name", "group", "Title", "In words.")
SE, CA = COLOURS[:2]


def values_of(figure: Figure, layer: int = 0) -> list[dict[str, Any]]:
    """The data of a layer, which Altair moves to the top where all layers share them."""
    return figure.spec["layer"][layer].get("data", figure.spec.get("data"))["values"]


def forest(**options: Any) -> Figure:
    rows = [
        ForestRow("se", {"mechanism": "se"}, SE, 0.01, (-0.01, 0.03), [Dot(0.02, 0), Dot(0.0, 1)]),
        ForestRow("se", {"mechanism": "se"}, CA, -0.02),
    ]
    axis = difference_axis(ACCURACY, "difference", "Difference to the baseline")
    return forest_figure(CAPTION, rows, axis, **options)


def test_a_forest_has_estimates_intervals_and_dots_in_the_unit_of_the_axis():
    figure = forest()
    (_, interval, dots, diamonds) = figure.spec["layer"]
    first, second = values_of(figure, 1)
    assert {key: first[key] for key in ("difference", "low", "high", "colour")} == {
        "difference": 1.0,
        "low": -1.0,
        "high": 3.0,
        "colour": SE,
    }
    assert "low" not in second
    assert [(dot["seed"], dot["difference"]) for dot in values_of(figure, 2)] == [(0, 2.0), (1, 0.0)]
    assert diamonds["encoding"]["x"]["title"] == "Difference to the baseline, points"
    assert [tip["field"] for tip in dots["encoding"]["tooltip"]] == ["mechanism", "seed", "difference"]
    assert diamonds["encoding"]["tooltip"][1]["format"] == "+.2f"
    assert interval["transform"] == [{"filter": "isValid(datum.low)"}]
    assert figure.spec["height"] == 110


def test_rows_of_the_same_name_stay_apart_and_have_their_names_at_the_left():
    figure = forest(marks=DENSE, label_limit=260)
    y = figure.spec["layer"][-1]["encoding"]["y"]
    assert y["scale"]["domain"] == ["000 se", "001 se"]
    assert y["axis"]["labelExpr"] == "slice(datum.label, 4)"
    assert (y["axis"]["labelLimit"], figure.spec["height"]) == (260, 70)


def test_a_forest_of_ratios_has_quartiles_labels_and_empty_diamonds():
    rows: list[ForestRow | Heading] = [
        Heading("one study"),
        ForestRow("se", {}, SE, 1.2, (1.1, 1.3), quartiles=(1.15, 1.25), label="1.20×", is_doubtful=True),
    ]
    figure = forest_figure(CAPTION, rows, Axis("ratio", "Ratio", padding=28), reference=1)
    rule, bar, _, _, empty, *texts = figure.spec["layer"]
    assert rule["encoding"]["x"] == {"datum": 1}
    assert values_of(figure, 1)[0]["first"] == 1.15
    assert bar["mark"]["type"] == "bar"
    assert empty["mark"]["fillOpacity"] == 1
    assert [text["encoding"]["text"]["field"] for text in texts] == ["label", "label", "text"]
    assert "one study" in as_svg(figure)


@pytest.mark.parametrize("reference", [None, 0.0])
def test_a_forest_has_a_reference_line_or_none(reference):
    assert len(forest(reference=reference).spec["layer"]) == 3 + (reference is not None)


def test_a_band_reaches_from_the_lowest_to_the_highest_value():
    points = [BandPoint.over(1, [0.5, 0.7]), BandPoint.over(2, [0.75])]
    lines = [BandLine("baseline", BASELINE_COLOUR, points), BandLine("se", SE, points[:1])]
    figure = band_figure(CAPTION, lines, EPOCHS, metric_axis(ACCURACY, "Training"))
    assert values_of(figure) == [
        {"mechanism": "baseline", "epoch": 1, "mean": 60.0, "low": 50.0, "high": 70.0},
        {"mechanism": "baseline", "epoch": 2, "mean": 75.0, "low": 75.0, "high": 75.0},
        {"mechanism": "se", "epoch": 1, "mean": 60.0, "low": 50.0, "high": 70.0},
    ]
    band, line = figure.spec["layer"]
    assert line["encoding"]["y"]["title"] == "Training accuracy, %"
    assert band["encoding"]["color"]["scale"] == {
        "domain": ["baseline", "se"],
        "range": [BASELINE_COLOUR, SE],
    }


@pytest.mark.parametrize(("last", "has_dots"), [(1, True), (3, True), (4, False)])
def test_lines_of_few_steps_have_dots_to_see(last, has_dots):
    points = [BandPoint.over(step, [1.0]) for step in range(1, last + 1)]
    figure = band_figure(CAPTION, [BandLine("se", SE, points)], EPOCHS, Axis("loss", "Loss"), has_band=False)
    (line,) = figure.spec["layer"]
    assert bool(line["mark"]["point"]) == has_dots
    assert line["encoding"]["x"]["scale"]["domain"] == [1, max(last, 2)]


def test_steps_of_a_scale_are_in_their_order():
    points = [BandPoint.over(step, [1.0]) for step in (3, 0, 5)]
    steps = Steps("severity", "Severity", is_ordinal=True)
    figure = band_figure(CAPTION, [BandLine("se", SE, points)], steps, Axis("loss", "Loss"), of="network")
    x = figure.spec["layer"][0]["encoding"]["x"]
    assert (x["type"], x["sort"]) == ("ordinal", [0, 3, 5])
    assert figure.spec["params"][0]["select"]["fields"] == ["network"]


def test_steps_are_boxes_over_their_epochs_and_one_without_an_interval_is_a_bar_alone():
    axis = difference_axis(ACCURACY, "gain", "Gain")
    steps = [Step(1, 2, -0.01, None), Step(3, 3, 0.02, (0.01, 0.03))]
    line = [(1, -0.02), (2, 0.0), (3, 0.02)]
    figure = stepped_figure(CAPTION, line, steps, axis, SE, domain=(-0.05, 0.05), marked=3)
    first, second = values_of(figure)
    assert first == {"epochs": "1 to 2", "start": 0.5, "end": 2.5, "gain": -1.0}
    assert second == {"epochs": "3", "start": 2.5, "end": 3.5, "gain": 2.0, "low": 1.0, "high": 3.0}
    assert [one["gain"] for one in values_of(figure, 2)] == [-2.0, 0.0, 2.0]
    assert values_of(figure, 4) == [{"start": 2.5}]
    svg = as_svg(figure)
    assert "NaN" not in svg
    assert svg.count('aria-roledescription="rect mark container"') == 1


def points_of(costs: list[float], means: list[float]) -> list[CostPoint]:
    return [
        CostPoint(str(n), SE, cost, mean) for n, (cost, mean) in enumerate(zip(costs, means, strict=True))
    ]


def test_pareto_front_by_hand():
    # The first dominates the second, the third the fourth at its cost; the last two are the same point.
    points = points_of([1, 2, 3, 3, 4, 4], [0.8, 0.7, 0.9, 0.85, 0.95, 0.95])
    assert [point.name for point in pareto_front(points)] == ["0", "2", "4", "5"]


def test_of_an_error_the_lowest_are_on_the_pareto_front():
    points = points_of([1, 2, 3], [0.8, 0.9, 0.7])
    assert [point.name for point in pareto_front(points, higher_is_better=False)] == ["0", "2"]


def test_a_cost_chart_has_deviations_and_the_front():
    points = [CostPoint("baseline", BASELINE_COLOUR, 2e6, 0.5, 0.1), CostPoint("se", SE, 3e6, 0.4)]
    axis = Axis("cost", "Parameters, millions", 1e-6)
    figure = cost_figure(CAPTION, points, pareto_front(points), axis, metric_axis(ERROR, "Test"))
    first, second = values_of(figure)
    assert (first["cost"], first["low"], first["high"]) == pytest.approx((2.0, 0.4, 0.6))
    assert [(value["front"], value["left"]) for value in (first, second)] == [(True, False), (False, True)]
    assert figure.spec["layer"][0]["encoding"]["y"]["title"] == "Test error"


@pytest.mark.parametrize(("dearest", "scale"), [(9.0, None), (11.0, "log")])
def test_costs_of_studies_far_apart_stand_on_a_logarithmic_scale(dearest, scale):
    studies = {"one": points_of([1], [0.5]), "two": points_of([dearest], [0.6]), "three": []}
    axes = Axis("cost", "Cost"), metric_axis(ACCURACY, "Test")
    figure = costs_of_studies_figure(CAPTION, studies, *axes)
    _, points = figure.spec["layer"]
    assert points["encoding"]["x"]["scale"].get("type") == scale
    assert points["encoding"]["shape"]["scale"]["domain"] == ["one", "two", "three"]
    assert [value["study"] for value in values_of(figure)] == ["one", "two"]


def test_the_baseline_is_grey_wherever_it_stands():
    assert mechanism_colours(["se", "baseline", "ca"]) == {"se": SE, "baseline": BASELINE_COLOUR, "ca": CA}


def test_one_specification_follows_both_themes():
    spec = forest().spec | {"width": 400}
    light, dark = (vl_convert.vegalite_to_svg(spec, config=theme(tone)) for tone in ("light", "dark"))
    assert 'fill="#59626b"' in light
    assert 'fill="#59626b"' not in dark
    assert 'fill="#9aa4ae"' in dark
