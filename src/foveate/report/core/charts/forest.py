"""Forest charts: a row for each estimate, with its interval and the single values behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt

from foveate.report.core.charts.axes import HALO, INK, Axis, Caption, chart_of
from foveate.report.core.theme import Figure

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
        is_doubtful: leaves the diamond empty.
    """

    name: str
    tips: Mapping[str, str]
    colour: str
    estimate: float
    interval: tuple[float, float] | None = None
    dots: Sequence[Dot] = ()
    quartiles: tuple[float, float] | None = None
    label: str = ""
    is_doubtful: bool = False


class Heading(NamedTuple):
    """A line between rows that says what the rows below it belong to."""

    text: str


class Marks(NamedTuple):
    """Sizes in pixels: of rows and of marks; those of the diamond and the dots are areas."""

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
    marks: Marks = ROOMY,
    label_limit: int = 130,
) -> Figure:
    """Draw `rows` one below the other.

    Args:
        reference: the value of the line from which estimates may differ or not; None draws none.
        label_limit: width of the names at the left, in pixels.
    """
    # The number of a line, which the axis cuts off, keeps rows of the same name apart.
    lines = {f"{number:03d} {getattr(row, 'name', '')}": row for number, row in enumerate(rows)}
    estimates = {line: row for line, row in lines.items() if isinstance(row, ForestRow)}
    heads = {line: row.text for line, row in lines.items() if isinstance(row, Heading)}
    y = alt.Y(
        "line:N",
        title=None,
        scale=alt.Scale(domain=[*lines]),
        axis=alt.Axis(grid=False, labelExpr="slice(datum.label, 4)", labelLimit=label_limit),
    )
    x = alt.X(f"{axis.name}:Q", title=axis.title, scale=axis.scale)
    colour = alt.Color("colour:N", scale=None)
    facts = [f"{key}:N" for key in next(iter(estimates.values())).tips]
    has_quartiles = any(row.quartiles for row in estimates.values())
    ends = ("low", "high", "first", "third") if has_quartiles else ("low", "high")
    tips = [*facts, *axis.tips(axis.name, *ends)]
    base = chart_of(_value(line, row, axis) for line, row in estimates.items()).encode(y=y)
    certain, doubtful = (base.transform_filter(f"{no}datum.doubtful") for no in ("!", ""))
    layers = []
    if reference is not None:
        zero = chart_of([{}]).mark_rule(stroke={"expr": "quiet"})
        layers.append(zero.encode(x=alt.datum(reference)))
    if has_quartiles:
        wide = base.mark_bar(size=14, opacity=0.22)
        layers.append(wide.encode(x=alt.X("first:Q", scale=axis.scale), x2="third:Q", color=colour))
    interval = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    layers.append(interval.encode(x=alt.X("low:Q", scale=axis.scale), x2="high:Q", color=colour))
    if dots := [_dot(line, row, dot, axis) for line, row in estimates.items() for dot in row.dots]:
        seeds = ["seed:O"] * all("seed" in dot for dot in dots)
        small = chart_of(dots).mark_point(
            size=marks.dot, yOffset=marks.dot_offset, strokeWidth=marks.dot_stroke
        )
        layers.append(small.encode(x=x, y=y, color=colour, tooltip=[*facts, *seeds, *axis.tips(axis.name)]))
    diamond: dict[str, Any] = {"shape": "diamond", "size": marks.diamond, "opacity": 1}
    layers.append(certain.mark_point(**diamond, filled=True).encode(x=x, color=colour, tooltip=tips))
    if any(row.is_doubtful for row in estimates.values()):
        empty = doubtful.mark_point(**diamond, fill={"expr": "paper"}, fillOpacity=1)
        layers.append(empty.encode(x=x, stroke=alt.Stroke("colour:N", scale=None), tooltip=tips))
    if any(row.label for row in estimates.values()):
        above: dict[str, Any] = {"baseline": "bottom", "dy": -11, "fontSize": 12, **INK}
        layers += [base.mark_text(**above, **halo).encode(x=x, text="label:N") for halo in (HALO, {})]
    if heads:
        text = chart_of({"line": line, "head": head} for line, head in heads.items())
        left = text.mark_text(align="left", fontWeight=600, **INK)
        layers.append(left.encode(y=y, text="head:N", x=alt.value(0)))
    return caption.figure(alt.layer(*layers), height=marks.row_height * len(rows) + 10)


def _value(line: str, row: ForestRow, axis: Axis) -> dict[str, Any]:
    value = {"line": line, "colour": row.colour, **row.tips, axis.name: axis.factor * row.estimate}
    value |= {"label": row.label, "doubtful": row.is_doubtful}
    if row.interval:
        value |= {"low": axis.factor * row.interval[0], "high": axis.factor * row.interval[1]}
    if row.quartiles:
        value |= {"first": axis.factor * row.quartiles[0], "third": axis.factor * row.quartiles[1]}
    return value


def _dot(line: str, row: ForestRow, dot: Dot, axis: Axis) -> dict[str, Any]:
    value = {"line": line, "colour": row.colour, **row.tips, axis.name: axis.factor * dot.value}
    return value if dot.seed is None else value | {"seed": dot.seed}
