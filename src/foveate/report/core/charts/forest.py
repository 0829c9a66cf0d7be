"""Forest charts: a row for each estimate, with its interval and the single values behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import altair as alt

from foveate.report.core.charts.axes import HALO, INK, Axis, Caption, chart_of
from foveate.report.core.theme import Figure, Spec

__all__ = ["DENSE", "ROOMY", "Dot", "ForestRow", "Heading", "Marks", "forest_figure"]


class Dot(NamedTuple):
    """A single value behind an estimate, and its seed where that is known."""

    value: float
    seed: int | None = None


@dataclass(frozen=True)
class ForestRow:
    """An estimate and what is known of it.

    Attributes:
        name: at the row's left.
        tips: what a tooltip says before the numbers; all rows have the same keys.
        colour: of the row's marks.
        estimate: the diamond.
        interval: the line through it; None without one.
        dots: single values, below the line.
        quartiles: a wide bar behind the line; all rows have one, or none.
        label: written above the diamond.
        is_doubtful: draws the diamond hollow.
        wider: a thinner line behind that of the interval, of one that allows for more; None without one.
    """

    name: str
    tips: Mapping[str, str]
    colour: str
    estimate: float
    interval: Sequence[float] | None = None
    dots: Sequence[Dot] = ()
    quartiles: Sequence[float] | None = None
    label: str = ""
    is_doubtful: bool = False
    wider: Sequence[float] | None = None


class Heading(NamedTuple):
    """A line between rows that says what the rows below it belong to; nothing stands at its left."""

    text: str
    name: str = ""


class Marks(NamedTuple):
    """Sizes of rows and marks in pixels; diamonds and dots are given by their areas."""

    row_height: int
    diamond: int
    dot: int
    dot_offset: int
    dot_stroke: float


ROOMY = Marks(row_height=50, diamond=130, dot=36, dot_offset=11, dot_stroke=1.5)
DENSE = Marks(row_height=30, diamond=110, dot=28, dot_offset=8, dot_stroke=1.2)


def forest_figure(
    caption: Caption,
    rows: Sequence[ForestRow | Heading],
    axis: Axis,
    *,
    reference: float | None = 0.0,
    margin: float | None = None,
    marks: Marks = ROOMY,
    label_limit: int = 130,
) -> Figure:
    """Draw `rows` one below the other.

    Args:
        reference: where to draw a vertical line that estimates are compared with; None draws none.
        margin: how far about the reference a shaded band reaches; None draws none.
        label_limit: width of the names at the left, in pixels.
    """
    # The number of a line, which the axis cuts off, keeps rows of the same name apart.
    lines = {f"{number:03d} {row.name}": row for number, row in enumerate(rows)}
    y = alt.Y(
        "line:N",
        title=None,
        scale=alt.Scale(domain=[*lines]),
        axis=alt.Axis(grid=False, labelExpr="slice(datum.label, 4)", labelLimit=label_limit),
    )
    estimates = {line: row for line, row in lines.items() if isinstance(row, ForestRow)}
    forest = _Forest(estimates, axis, marks, y)
    layers = [
        *_margin(reference, margin, axis),
        *_reference(reference),
        *forest.intervals(),
        *forest.dots(),
        *forest.diamonds(),
        *forest.labels(),
        *_headings({line: row for line, row in lines.items() if isinstance(row, Heading)}, y),
    ]
    return caption.figure(alt.layer(*layers), height=marks.row_height * len(rows) + 10)


def _reference(value: float | None) -> list[alt.Chart]:
    if value is None:
        return []
    return [chart_of([{}]).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(value))]


def _margin(reference: float | None, margin: float | None, axis: Axis) -> list[alt.Chart]:
    if reference is None or margin is None:
        return []
    ends = {"from": axis.factor * (reference - margin), "to": axis.factor * (reference + margin)}
    base = chart_of([ends]).mark_rect(fill={"expr": "quiet"}, opacity=0.18)
    return [base.encode(x=alt.X("from:Q", title=axis.title, scale=axis.scale), x2="to:Q")]


def _headings(headings: Mapping[str, Heading], y: alt.Y) -> list[alt.Chart]:
    if not headings:
        return []
    base = chart_of({"line": line, "text": heading.text} for line, heading in headings.items())
    left = base.mark_text(align="left", fontWeight=600, **INK)
    return [left.encode(y=y, text="text:N", x=alt.value(0))]


@dataclass(frozen=True)
class _Forest:
    """The layers of the estimates, each a list that is empty where the rows have no such thing."""

    rows: Mapping[str, ForestRow]
    axis: Axis
    marks: Marks
    y: alt.Y

    @property
    def base(self) -> alt.Chart:
        return chart_of(_value(line, row, self.axis) for line, row in self.rows.items()).encode(y=self.y)

    @property
    def x(self) -> alt.X:
        return alt.X(f"{self.axis.name}:Q", title=self.axis.title, scale=self.axis.scale)

    @property
    def colour(self) -> alt.Color:
        return alt.Color("colour:N", scale=None)

    @property
    def facts(self) -> list[str]:
        return [f"{key}:N" for key in next(iter(self.rows.values())).tips]

    @property
    def has_quartiles(self) -> bool:
        return any(row.quartiles for row in self.rows.values())

    @property
    def has_wider(self) -> bool:
        return any(row.wider for row in self.rows.values())

    def intervals(self) -> list[alt.Chart]:
        start, end = (alt.X(f"{end}:Q", scale=self.axis.scale) for end in ("low", "first"))
        line = self.base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3)
        bar = self.base.mark_bar(size=14, opacity=0.22)
        wide = self.base.transform_filter("isValid(datum.widest_low)").mark_rule(strokeWidth=1)
        outer = alt.X("widest_low:Q", scale=self.axis.scale)
        return [
            *[wide.encode(x=outer, x2="widest_high:Q", color=self.colour)] * self.has_wider,
            *[bar.encode(x=end, x2="third:Q", color=self.colour)] * self.has_quartiles,
            line.encode(x=start, x2="high:Q", color=self.colour),
        ]

    def dots(self) -> list[alt.Chart]:
        dots = [_dot(line, row, dot, self.axis) for line, row in self.rows.items() for dot in row.dots]
        if not dots:
            return []
        seed = ["seed:O"] * all("seed" in dot for dot in dots)
        tips = [*self.facts, *seed, *self.axis.tips(self.axis.name)]
        points = chart_of(dots).mark_point(
            size=self.marks.dot, yOffset=self.marks.dot_offset, strokeWidth=self.marks.dot_stroke
        )
        return [points.encode(x=self.x, y=self.y, color=self.colour, tooltip=tips)]

    def diamonds(self) -> list[alt.Chart]:
        ends = ("low", "high", *("first", "third") * self.has_quartiles)
        tips = [*self.facts, *self.axis.tips(self.axis.name, *ends)]
        mark: Spec = {"shape": "diamond", "size": self.marks.diamond, "opacity": 1}
        filled = self.base.transform_filter("!datum.doubtful").mark_point(**mark, filled=True)
        layers = [filled.encode(x=self.x, color=self.colour, tooltip=tips)]
        if any(row.is_doubtful for row in self.rows.values()):
            empty = self.base.transform_filter("datum.doubtful")
            empty = empty.mark_point(**mark, fill={"expr": "paper"}, fillOpacity=1)
            stroke = alt.Stroke("colour:N", scale=None)
            layers.append(empty.encode(x=self.x, stroke=stroke, tooltip=tips))
        return layers

    def labels(self) -> list[alt.Chart]:
        if not any(row.label for row in self.rows.values()):
            return []
        above: Spec = {"baseline": "bottom", "dy": -11, "fontSize": 12, **INK}
        return [self.base.mark_text(**above, **halo).encode(x=self.x, text="label:N") for halo in (HALO, {})]


def _value(line: str, row: ForestRow, axis: Axis) -> Spec:
    value = {"line": line, "colour": row.colour, **row.tips, axis.name: axis.factor * row.estimate}
    value |= {"label": row.label, "doubtful": row.is_doubtful}
    if row.interval:
        value |= {"low": axis.factor * row.interval[0], "high": axis.factor * row.interval[1]}
    if row.wider:
        value |= {
            "widest_low": axis.factor * row.wider[0],
            "widest_high": axis.factor * row.wider[1],
        }
    if row.quartiles:
        value |= {"first": axis.factor * row.quartiles[0], "third": axis.factor * row.quartiles[1]}
    return value


def _dot(line: str, row: ForestRow, dot: Dot, axis: Axis) -> Spec:
    value = {"line": line, "colour": row.colour, **row.tips, axis.name: axis.factor * dot.value}
    return value if dot.seed is None else value | {"seed": dot.seed}
