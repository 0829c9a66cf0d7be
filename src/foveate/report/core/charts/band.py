"""Band charts: a line through means over steps, and a band from the lowest to the highest value."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import altair as alt

from foveate.report.core.charts.axes import Axis, Caption, chart_of
from foveate.report.core.theme import Figure, colour_of

__all__ = ["EPOCHS", "BandLine", "BandPoint", "Steps", "band_figure"]

DECIMALS = 5
"""Of the numbers in a chart: a page holds thousands of them."""
FEW_STEPS = 3
"""With at most this many steps, each is marked by a dot."""


class BandPoint(NamedTuple):
    """A line at one step: the mean of some values, the lowest and the highest of them."""

    step: int
    mean: float
    low: float
    high: float

    @classmethod
    def over(cls, step: int, values: Sequence[float]) -> "BandPoint":
        """Return the point of `values` at `step`."""
        return cls(step, fmean(values), min(values), max(values))


@dataclass(frozen=True)
class BandLine:
    """A line: its name in the legend, its colour and its points, in the order of the steps."""

    name: str
    colour: str
    points: Sequence[BandPoint]


@dataclass(frozen=True)
class Steps:
    """What a chart runs over: numbers such as epochs, from `first` on, or the few steps of a scale."""

    name: str
    title: str
    is_ordinal: bool = False
    first: int = 1

    def encode(self, steps: Sequence[int]) -> alt.X:
        """Return the axis of `steps`, which are in their order."""
        if self.is_ordinal:
            axis = alt.Axis(labelAngle=0, grid=False)
            return alt.X(f"{self.name}:O", title=self.title, sort=[*steps], axis=axis)
        last = steps[-1]
        axis = alt.Axis(title=self.title, format="d", tickCount=min(6, max(last - 1, 1)), grid=False)
        return alt.X(
            f"{self.name}:Q", axis=axis, scale=alt.Scale(nice=False, domain=[self.first, max(last, 2)])
        )


EPOCHS = Steps("epoch", "Epoch")


def band_figure(
    caption: Caption,
    lines: Sequence[BandLine],
    steps: Steps,
    axis: Axis,
    *,
    of: str = "mechanism",
    has_band: bool = True,
    height: int = 240,
    legend_columns: int | None = None,
    domain: tuple[float, float] | None = None,
) -> Figure:
    """Draw `lines`; a click on a name in the legend singles its line out.

    Args:
        of: what a line stands for, as tooltips name it.
        has_band: False draws the means alone.
        domain: the lower and the upper end of the vertical axis, as it is written; by default they follow the
            values.
        legend_columns: how many names of the legend stand side by side; by default as many as fit.
    """
    fields = ("mean", "low", "high") if has_band else ("mean",)
    values = [
        {of: line.name, steps.name: point.step}
        | {name: round(axis.factor * getattr(point, name), DECIMALS) for name in fields}
        for line in lines
        for point in line.points
    ]
    found = sorted({point.step for line in lines for point in line.points})
    colours = {line.name: line.colour for line in lines}
    picked = alt.selection_point(name="picked", fields=[of], bind="legend")
    base = chart_of(values).encode(
        x=steps.encode(found), color=colour_of(of, colours, legend=True, columns=legend_columns)
    )
    has_dots = steps.is_ordinal or found[-1] <= FEW_STEPS
    dots = {"size": 30 if steps.is_ordinal else 24}
    step_tip = f"{steps.name}:{'O' if steps.is_ordinal else 'Q'}"
    scale = alt.Scale(zero=False) if domain is None else alt.Scale(domain=[*domain])
    means = base.mark_line(strokeWidth=2, point=dots if has_dots else False).encode(
        y=alt.Y("mean:Q", title=axis.title, scale=scale),
        opacity=alt.condition(picked, alt.value(1), alt.value(0.12)),
        tooltip=[f"{of}:N", step_tip, *axis.tips(*fields)],
    )
    layers = [means.add_params(picked)]
    if has_band:
        band = base.mark_area().encode(
            y=alt.Y("low:Q", scale=scale),
            y2="high:Q",
            opacity=alt.condition(picked, alt.value(0.16), alt.value(0.02)),
        )
        layers.insert(0, band)
    return caption.figure(alt.layer(*layers), height)
