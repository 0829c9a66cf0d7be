"""Stepped charts: a line over the epochs, and over it the means and intervals of stretches of them."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from foveate.report.core.charts.axes import Axis, Caption, chart_of
from foveate.report.core.theme import Figure

__all__ = ["Step", "stepped_figure"]

DECIMALS = 5


class Step(NamedTuple):
    """Consecutive epochs with one mean, and its interval where there is one."""

    first: int
    last: int
    mean: float
    interval: tuple[float, float] | None


def stepped_figure(
    caption: Caption,
    line: Sequence[tuple[int, float]],
    steps: Sequence[Step],
    axis: Axis,
    colour: str,
    *,
    domain: tuple[float, float],
    marked: int | None = None,
    height: int = 220,
) -> Figure:
    """Draw `line` as (epoch, value), and `steps` as bars in boxes, about a horizontal line at zero.

    Args:
        domain: the values from the lower to the upper end of the vertical axis; what lies beyond is cut off.
        marked: an epoch at whose beginning a dashed line is drawn.
    """
    low, high = (axis.factor * end for end in domain)
    scale = alt.Scale(domain=[low, high], nice=False)
    ends = alt.Scale(domain=[line[0][0] - 0.5, line[-1][0] + 0.5], nice=False)
    x_axis = alt.Axis(title="Epoch", format="d", tickMinStep=1, tickCount=6, grid=False)
    x = alt.X("start:Q", scale=ends, axis=x_axis)
    boxes = [
        {"epochs": _epochs(step), "start": step.first - 0.5, "end": step.last + 0.5}
        | {axis.name: _rounded(axis, step.mean)}
        | (
            {}
            if step.interval is None
            else {"low": _rounded(axis, step.interval[0]), "high": _rounded(axis, step.interval[1])}
        )
        for step in steps
    ]
    tips = [alt.Tooltip("epochs:N"), *axis.tips(axis.name)]
    base = chart_of(boxes).encode(x=x, x2="end:Q", tooltip=tips)
    points = [{"epoch": epoch, axis.name: _rounded(axis, value)} for epoch, value in line]
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rect(color=colour, opacity=0.18, clip=True)
        .encode(
            y=alt.Y("low:Q", scale=scale, title=axis.title),
            y2="high:Q",
            tooltip=[*tips, *axis.tips("low", "high")],
        ),
        chart_of([{}]).mark_rule(stroke={"expr": "quiet"}).encode(y=alt.datum(0)),
        chart_of(points)
        .mark_line(color=colour, strokeWidth=1, opacity=0.7, clip=True)
        .encode(x=alt.X("epoch:Q", scale=ends, axis=x_axis), y=alt.Y(f"{axis.name}:Q", scale=scale)),
        base.mark_rule(color=colour, strokeWidth=3, clip=True).encode(y=alt.Y(f"{axis.name}:Q", scale=scale)),
    ]
    if marked is not None:
        mark = chart_of([{"start": marked - 0.5}]).mark_rule(stroke={"expr": "ink"}, strokeDash=[4, 3])
        layers.append(mark.encode(x=x))
    return caption.figure(alt.layer(*layers), height)


def _epochs(step: Step) -> str:
    return str(step.first) if step.first == step.last else f"{step.first} to {step.last}"


def _rounded(axis: Axis, value: float) -> float:
    return round(axis.factor * value, DECIMALS)
