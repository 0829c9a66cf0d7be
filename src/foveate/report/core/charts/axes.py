"""What all charts have: a caption, axes of quantities, and their tooltips."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import altair as alt

from foveate.records.metric import Metric
from foveate.report.core.theme import Figure, Spec, number_tip, specification

__all__ = ["HALO", "INK", "Axis", "Caption", "chart_of", "difference_axis", "free_scale", "metric_axis"]

INK: Spec = {"fill": {"expr": "ink"}}
HALO: Spec = {"stroke": {"expr": "paper"}, "strokeWidth": 4, "strokeJoin": "round"}
"""Letters are drawn twice, first with this outline in the colour of the page: lines do not cross them."""


class Caption(NamedTuple):
    """What a figure has besides its chart; see `Figure`."""

    name: str
    group: str
    title: str
    description: str

    def figure(self, chart: alt.LayerChart | alt.FacetChart, height: int) -> Figure:
        """Return the figure of `chart`."""
        return Figure(*self, specification(chart, self.description, height))


@dataclass(frozen=True)
class Axis:
    """A quantity along an axis.

    Attributes:
        name: of the quantity in tooltips.
        title: beside the axis.
        factor: from the values of records to what a person reads.
        style: of numbers in tooltips, as d3 formats them.
        padding: in pixels beyond the outermost values; None lets the axis contain zero.
    """

    name: str
    title: str
    factor: float = 1
    style: str = ".4~g"
    padding: int | None = None

    @property
    def scale(self) -> alt.Scale:
        """The scale of the axis."""
        return alt.Scale() if self.padding is None else free_scale(self.padding)

    def tips(self, *fields: str) -> list[alt.Tooltip]:
        """Return tooltips of `fields`, which are numbers of this quantity."""
        return [number_tip(name, style=self.style) for name in fields]


def free_scale(padding: int) -> alt.Scale:
    """Return a scale that reaches `padding` pixels beyond the outermost values."""
    return alt.Scale(zero=False, nice=False, padding=padding)


def metric_axis(metric: Metric, part: str, padding: int = 12) -> Axis:
    """Return the axis of the values of `metric` on a part of the data, such as "Test"."""
    return Axis(metric.name, metric.heading_on(part), metric.scale, padding=padding)


def difference_axis(metric: Metric, name: str, title: str) -> Axis:
    """Return the axis of differences in `metric`, whose unit it puts behind `title`."""
    heading = metric.heading_of_difference(title)
    return Axis(name, heading, metric.scale, style=f"+.{metric.digits}f")


def chart_of(values: Iterable[Spec]) -> alt.Chart:
    """Return an empty chart of `values`, a dict for each mark."""
    return alt.Chart(alt.Data(values=[*values]))
