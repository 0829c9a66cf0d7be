"""The figures of a profile: latency over the baseline's with its interval, and what each cost grows by."""

import altair as alt

from foveate.records.labels import BASELINE
from foveate.records.profile import ProfileRecord, ProfileRow
from foveate.report.core.charts.axes import INK, Axis, Caption, chart_of
from foveate.report.core.charts.forest import ROOMY, ForestRow, forest_figure
from foveate.report.core.theme import (
    Figure,
    mechanism_colour,
    mechanism_colours,
    mechanism_names,
    number_tip,
)
from foveate.report.profile.words import increase, ratio_range

__all__ = ["profile_figures"]

COSTS = {
    "parameters": "Parameters",
    "macs": "Multiply-adds",
    "element_wise": "Element-wise operations",
    "bytes_moved": "Bytes moved",
    "peak_bytes": "Peak memory",
}
LABELLED = ROOMY._replace(row_height=54)
ROOM = 0.3
"""Share of the bars' axis that is free behind the longest bar, for its number."""


def profile_figures(record: ProfileRecord) -> list[Figure]:
    """Make all figures; with the baseline alone there is nothing to draw."""
    others = [row for row in record.rows if row.attention != BASELINE]
    if not others:
        return []
    names = mechanism_names(row.attention for row in record.rows)
    return [_latency(others, names), *filter(None, (_added(others, names, kind) for kind in COSTS))]


def _latency(others: list[ProfileRow], names: list[str]) -> Figure:
    colours = mechanism_colours(names)
    rows = [
        ForestRow(
            name=row.attention,
            tips={"mechanism": row.attention},
            colour=colours[row.attention],
            estimate=row.latency_ratio,
            interval=row.latency_ratio_ci95 or row.latency_ratio_quartiles,
            quartiles=row.latency_ratio_quartiles,
            label=f"{row.latency_ratio:.2f}×",
            is_doubtful=row.is_doubtful,
        )
        for row in others
    ]
    said = "; ".join(
        f"{row.attention} {row.latency_ratio:.2f} times plain ({ratio_range(row.latency_ratio_ci95)})"
        for row in others
    )
    caption = Caption("latency", "differences", "Latency, times plain", f"Latency over plain: {said}.")
    axis = Axis("ratio", "Latency, times plain's in the same round", style=".3f", padding=28)
    return forest_figure(caption, rows, axis, reference=1, marks=LABELLED)


def _added(others: list[ProfileRow], names: list[str], kind: str) -> Figure | None:
    """Draw by how many per cent a kind of cost grows; None where that is not known of all."""
    growths = [growth for row in others if (growth := row.cost(kind).increase_percent) is not None]
    if len(growths) < len(others):
        return None
    values = [
        {"mechanism": row.attention, "increase": growth, "label": increase(row, kind)}
        for row, growth in zip(others, growths, strict=True)
    ]
    most, least = max(*growths, 1e-9), min(*growths, 0)
    scale = alt.Scale(domain=[least, most + ROOM * (most - least)], nice=False)
    base = chart_of(values).encode(
        y=alt.Y("mechanism:N", title=None, sort=[row.attention for row in others], axis=alt.Axis(grid=False)),
        x=alt.X("increase:Q", title=None, scale=scale, axis=None),
    )
    tips = ["mechanism:N", number_tip("increase", "over plain, %")]
    chart = alt.layer(
        base.mark_bar(size=14).encode(color=mechanism_colour(names), tooltip=tips),
        base.mark_text(align="left", baseline="middle", dx=6, fontSize=12, **INK).encode(text="label:N"),
    )
    said = "; ".join(f"{value['mechanism']} {value['label']}" for value in values)
    title = f"{COSTS[kind]}, over plain"
    caption = Caption(f"added_{kind}", "cost", title, f"{COSTS[kind]} over plain: {said}.")
    return caption.figure(chart, height=26 * len(values) + 6)
