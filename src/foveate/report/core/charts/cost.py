"""Cost charts: a metric against what it costs, and the Pareto front of the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt

from foveate.report.core.charts.axes import HALO, INK, Axis, Caption, chart_of, free_scale
from foveate.report.core.theme import Figure, Spec, colour_of, colour_scale, number_tip

__all__ = ["CostPoint", "cost_figure", "costs_of_studies_figure", "pareto_front"]

SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
FAR_APART = 10
"""Costs of several studies whose ratio is more than this are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class CostPoint:
    """A candidate: what it costs, and the mean and the standard deviation of the metric over its seeds."""

    name: str
    colour: str
    cost: float
    mean: float
    std: float = 0


def pareto_front(points: Sequence[CostPoint], *, higher_is_better: bool = True) -> list[CostPoint]:
    """Return the points that no other beats: as cheap and as good, and better in one of the two."""
    sign = 1 if higher_is_better else -1
    found = [(point.cost, sign * point.mean) for point in points]
    return [
        point
        for point, (cost, gain) in zip(points, found, strict=True)
        if not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in found)
    ]


def cost_figure(
    caption: Caption, points: Sequence[CostPoint], front: Sequence[CostPoint], cost: Axis, metric: Axis
) -> Figure:
    """Draw the candidates of one study with their names, and a line along the `front`."""
    middle = (min(point.cost for point in points) + max(point.cost for point in points)) / 2
    # Names stand to the left of points in the right half, so that none leaves the chart.
    values = [
        _value(point, cost, metric) | {"front": point in front, "left": point.cost > middle}
        for point in points
    ]
    x = alt.X("cost:Q", title=cost.title, scale=free_scale(24))
    y = alt.Y(f"{metric.name}:Q", title=metric.title, scale=metric.scale)
    colours = {point.name: point.colour for point in points}
    colour = colour_of("mechanism", colours)
    base = chart_of(values).encode(x=x)
    marks = base.encode(y=y, tooltip=["mechanism:N", *_tips(cost, metric)])
    names = base.encode(y=y, text="mechanism:N")
    place: Spec = {"fontSize": 12, "baseline": "middle", "dy": -9, **INK}
    place |= {"align": {"expr": "datum.left ? 'right' : 'left'"}, "dx": {"expr": "datum.left ? -9 : 9"}}
    chart = alt.layer(
        base.transform_filter("datum.front")
        .mark_line(interpolate="step-after", strokeDash=[4, 4], stroke={"expr": "quiet"})
        .encode(y=y),
        _deviations(base.encode(color=colour)),
        marks.mark_point(size=90, fill={"expr": "paper"}, fillOpacity=1).encode(
            stroke=alt.Stroke("mechanism:N", scale=colour_scale(colours), legend=None)
        ),
        marks.transform_filter("datum.front")
        .mark_point(size=90, filled=True, opacity=1)
        .encode(color=colour),
        names.mark_text(**place, **HALO),
        names.mark_text(**place),
    )
    return caption.figure(chart, 300)


def costs_of_studies_figure(
    caption: Caption, studies: Mapping[str, Sequence[CostPoint]], cost: Axis, metric: Axis
) -> Figure:
    """Draw the candidates of `studies`, by name: a colour is a mechanism, a shape is a study."""
    points = [point for of_study in studies.values() for point in of_study]
    costs = [point.cost for point in points]
    is_wide = max(costs) > FAR_APART * min(costs)
    scale = alt.Scale(type="log", nice=False, padding=24) if is_wide else free_scale(24)
    values = [
        _value(point, cost, metric) | {"study": study}
        for study, of_study in studies.items()
        for point in of_study
    ]
    base = chart_of(values).encode(
        # Without a grid: on a logarithmic scale it would have lines that no label explains.
        x=alt.X("cost:Q", title=cost.title, axis=alt.Axis(grid=False), scale=scale),
        color=colour_of("mechanism", {point.name: point.colour for point in points}, legend=True),
    )
    legend = alt.Legend(orient="bottom", columns=1, labelLimit=320, symbolFillColor={"expr": "quiet"})
    chart = alt.layer(
        _deviations(base),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            y=alt.Y(f"{metric.name}:Q", title=metric.title, scale=metric.scale),
            shape=alt.Shape("study:N", scale=alt.Scale(domain=[*studies], range=SHAPES), legend=legend),
            tooltip=["study:N", "mechanism:N", *_tips(cost, metric)],
        ),
    )
    return caption.figure(chart, 320)


def _value(point: CostPoint, cost: Axis, metric: Axis) -> Spec:
    ends = {"low": point.mean - point.std, metric.name: point.mean, "high": point.mean + point.std}
    scaled = {key: metric.factor * value for key, value in ends.items()}
    return {"mechanism": point.name, "cost": cost.factor * point.cost, **scaled}


def _deviations(base: alt.Chart) -> alt.Chart:
    return base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q")


def _tips(cost: Axis, metric: Axis) -> list[alt.Tooltip]:
    return [number_tip("cost", cost.title), number_tip(metric.name, metric.title)]
