"""The figures over all classes: accuracy against cost, differences to plain, and the curves of training."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import altair as alt

from foveate.records.labels import BASELINE, display_name
from foveate.records.study import Records
from foveate.report.core.theme import Figure, mechanism_colour, mechanism_names, number_tip, specification
from foveate.report.study.class_changes import MANY_CLASSES, class_changes_figure
from foveate.report.study.class_charts import confusion, per_class
from foveate.report.study.contrast_charts import contrast_figures
from foveate.report.study.dynamics_charts import learned_figures

__all__ = ["figures", "pareto_front"]

LATENCY_RATIO = ("latency", "latency_ratio", "Latency of one pass, times plain's in the same round", 1.0)
COSTS = (
    ("latency", "latency_ms_p50", "Latency of one pass, median, ms", 1.0),
    ("parameters", "parameters", "Parameters, millions", 1e-6),
    ("macs", "macs", "Multiply-adds, millions", 1e-6),
)
CURVES = (
    ("train_loss", "Training loss", 1),
    ("validation_loss", "Validation loss", 1),
    ("train_accuracy", "Training accuracy, %", 100),
    ("validation_accuracy", "Validation accuracy, %", 100),
)


def figures(summary: dict[str, Any], records: Records) -> list[Figure]:
    """Make every figure that the records have the data for."""
    made = [_against_cost(summary, *cost) for cost in _costs(summary)]
    to_plain = [test for test in summary["tests"] if test["a"] == BASELINE and test["n"]]
    if summary["study"]["design"]["contrasts"]:
        made += contrast_figures(summary, records)
    elif to_plain:
        made.append(_differences(summary, to_plain, records))
    made += [_curve(summary, records, *curve) for curve in CURVES]
    made += learned_figures(records)
    made.append(per_class(summary, records))
    if changes := class_changes_figure(summary["class_changes"]):
        made.append(changes)
    if len(records.study["data"]["classes"]) <= MANY_CLASSES:
        made += [confusion(label, number, records) for number, label in enumerate(records.finished)]
    return made


def _costs(summary: dict[str, Any]) -> list[tuple[str, str, str, float]]:
    """The costs that were measured; latencies are ranked by their ratios to plain, if there are any."""
    latency, *counted = COSTS
    if all(row["latency_ratio"] for row in summary["rows"]):
        latency = LATENCY_RATIO
    return [cost for cost in (latency, *counted) if any(row[cost[1]] for row in summary["rows"])]


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[bool]:
    """Say of each point whether no other is as cheap and as accurate, and better in one of the two."""
    points = list(zip(costs, accuracies, strict=True))
    return [
        not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points)
        for cost, accuracy in points
    ]


def _against_cost(summary: dict[str, Any], name: str, key: str, title: str, scale: float) -> Figure:
    rows = [row for row in summary["rows"] if row[key]]
    costs = [scale * row[key] for row in rows]
    front = pareto_front(costs, [row["accuracy"]["mean"] for row in rows])
    values = []
    for row, cost, on_front in zip(rows, costs, front, strict=True):
        mean, std = 100 * row["accuracy"]["mean"], 100 * (row["accuracy"]["std"] or 0)
        value = {"mechanism": display_name(row["attention"]), "cost": cost, "accuracy": mean}
        value |= {"low": mean - std, "high": mean + std, "front": on_front}
        # Names stand to the left of points in the right half, so that none leaves the chart.
        values.append(value | {"left": cost > (min(costs) + max(costs)) / 2})
    accuracy = alt.Y(
        "accuracy:Q", title="Test accuracy, %", scale=alt.Scale(zero=False, padding=12, nice=False)
    )
    tips = [alt.Tooltip("mechanism:N"), number_tip("cost", title), number_tip("accuracy", "Test accuracy, %")]
    colour = mechanism_colour(summary)
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("cost:Q", title=title, scale=alt.Scale(zero=False, padding=24, nice=False))
    )
    points = base.encode(y=accuracy, tooltip=tips)
    names = base.encode(y=accuracy, text="mechanism:N")
    place: dict[str, Any] = {"fontSize": 12, "baseline": "middle", "dy": -9}
    place |= {"align": {"expr": "datum.left ? 'right' : 'left'"}, "dx": {"expr": "datum.left ? -9 : 9"}}
    chart = alt.layer(
        base.transform_filter("datum.front")
        .mark_line(interpolate="step-after", strokeDash=[4, 4], stroke={"expr": "quiet"})
        .encode(y=accuracy),
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q", color=colour),
        points.mark_point(size=90, fill={"expr": "paper"}, fillOpacity=1).encode(stroke=colour),
        points.transform_filter("datum.front")
        .mark_point(size=90, filled=True, opacity=1)
        .encode(color=colour),
        # Twice: the first, in the colour of the page, keeps lines out of the letters.
        names.mark_text(**place, stroke={"expr": "paper"}, strokeWidth=4, strokeJoin="round"),
        names.mark_text(**place, fill={"expr": "ink"}),
    )
    heading = f"Accuracy against {title.split(',')[0].lower()}"
    on_front_names = ", ".join(value["mechanism"] for value in values if value["front"])
    description = f"{heading}. On the Pareto front: {on_front_names}."
    return Figure(f"accuracy_{name}", "cost", heading, description, specification(chart, description, 300))


def _differences(summary: dict[str, Any], to_plain: list[dict[str, Any]], records: Records) -> Figure:
    means, dots = [], []
    for test in to_plain:
        mean = {"mechanism": test["b"], "difference": 100 * test["difference"]}
        if test["ci95"]:
            mean |= {"low": 100 * test["ci95"][0], "high": 100 * test["ci95"][1]}
        means.append(mean)
        plain, other = records.results[BASELINE], records.results[test["b"]]
        for seed in sorted(plain.keys() & other.keys()):
            difference = other[seed]["test"]["accuracy"] - plain[seed]["test"]["accuracy"]
            dots.append({"mechanism": test["b"], "seed": seed, "difference": 100 * difference})
    x = alt.X("difference:Q", title="Difference to plain, points")
    y = alt.Y(
        "mechanism:N", title=None, sort=[mean["mechanism"] for mean in means], axis=alt.Axis(grid=False)
    )
    colour = mechanism_colour(summary)
    interval = alt.Chart(alt.Data(values=means)).encode(y=y, color=colour)
    seeds = alt.Chart(alt.Data(values=dots)).encode(x=x, y=y, color=colour)
    tips = [number_tip(field, style="+.2f") for field in ("difference", "low", "high")]
    chart = alt.layer(
        alt.Chart(alt.Data(values=[{}])).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0)),
        interval.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q"), x2="high:Q"),
        seeds.mark_point(size=36, yOffset=11, strokeWidth=1.5).encode(
            tooltip=["mechanism:N", "seed:O", number_tip("difference", style="+.2f")]
        ),
        interval.mark_point(shape="diamond", size=130, filled=True, opacity=1).encode(
            x=x, tooltip=["mechanism:N", *tips]
        ),
    )
    seen = "; ".join(f"{mean['mechanism']} {mean['difference']:+.2f} points" for mean in means)
    description = f"Paired differences to plain: {seen}."
    spec = specification(chart, description, height=50 * len(means) + 10)
    return Figure("differences", "differences", "Differences to plain", description, spec)


def _curve(summary: dict[str, Any], records: Records, key: str, title: str, scale: float) -> Figure:
    values: list[dict[str, Any]] = []
    for label in records.finished:
        by_epoch: dict[int, list[float]] = {}
        for run in records.results[label].values():
            for epoch in run["epochs"]:
                by_epoch.setdefault(epoch["epoch"], []).append(round(scale * epoch[key], 5))
        values += [
            {"mechanism": display_name(label), "epoch": epoch, "mean": round(fmean(over_seeds), 5)}
            | {"low": min(over_seeds), "high": max(over_seeds)}
            for epoch, over_seeds in sorted(by_epoch.items())
        ]
    last = max(value["epoch"] for value in values)
    picked = alt.selection_point(name="picked", fields=["mechanism"], bind="legend")
    colour, free = mechanism_colour(summary, legend=True), alt.Scale(zero=False)
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "epoch:Q",
            axis=alt.Axis(title="Epoch", format="d", tickCount=min(6, max(last - 1, 1)), grid=False),
        ).scale(nice=False, domain=[1, max(last, 2)]),
        color=colour,
    )
    chart = alt.layer(
        base.mark_area().encode(
            y=alt.Y("low:Q", scale=free),
            y2="high:Q",
            opacity=alt.condition(picked, alt.value(0.16), alt.value(0.02)),
        ),
        base.mark_line(strokeWidth=2, point={"size": 24} if last <= 3 else False)
        .encode(
            y=alt.Y("mean:Q", title=title, scale=free),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.12)),
            tooltip=["mechanism:N", "epoch:Q", *(number_tip(field) for field in ("mean", "low", "high"))],
        )
        .add_params(picked),
    )
    heading = title.split(",")[0]
    description = f"{heading} by epoch, mean and range over seeds, for {', '.join(mechanism_names(summary))}."
    return Figure(f"curve_{key}", "curves", heading, description, specification(chart, description, 240))
