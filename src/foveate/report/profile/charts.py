"""The figures of a profile: latency relative to the baseline, and the increase of each kind of cost."""

from collections.abc import Mapping, Sequence

import altair as alt

from foveate.notation import ratio_range
from foveate.records.labels import BASELINE, display_name
from foveate.records.profile import ProfileRecord, ProfileRow
from foveate.report.core.charts.axes import INK, Axis, Caption, chart_of
from foveate.report.core.charts.forest import ForestRow, Marks, forest_figure
from foveate.report.core.theme import Figure, colour_of, mechanism_colours, mechanism_names, number_tip
from foveate.report.profile.words import increase

__all__ = ["profile_figures"]

COSTS = (
    ("parameters", "Parameters"),
    ("macs", "Multiply-adds"),
    ("element_wise", "Element-wise operations"),
    ("bytes_moved", "Bytes moved"),
    ("peak_bytes", "Peak memory"),
)
RATIO = Axis("ratio", "Latency, times the baseline's in the same round", style=".3f", padding=28)
MARKS = Marks(row_height=54, diamond=130, dot=36, dot_offset=11, dot_stroke=1.5)


def profile_figures(record: ProfileRecord) -> list[Figure]:
    """Make all figures; there are none if the baseline is alone."""
    others = [row for row in record.rows if row.attention != BASELINE]
    if not others:
        return []
    colours = mechanism_colours(mechanism_names(row.attention for row in record.rows))
    known = [kind for kind in COSTS if all(row.cost(kind[0]).increase_percent is not None for row in others)]
    return [_latency(others, colours), *(_cost(others, colours, *kind) for kind in known)]


def _latency(others: Sequence[ProfileRow], colours: Mapping[str, str]) -> Figure:
    rows = []
    for row in others:
        name = display_name(row.attention)
        rows.append(
            ForestRow(
                name,
                {"mechanism": name},
                colours[name],
                row.latency_ratio,
                row.latency_ratio_ci95 or row.latency_ratio_quartiles,
                quartiles=row.latency_ratio_quartiles,
                label=f"{row.latency_ratio:.2f}×",
                is_doubtful=row.is_doubtful,
            )
        )
    said = "; ".join(
        f"{display_name(row.attention)} {row.latency_ratio:.2f} times ({ratio_range(row.latency_ratio_ci95)})"
        for row in others
    )
    description = f"Latency as a multiple of the baseline's: {said}."
    caption = Caption("latency", "differences", "Latency, × baseline", description)
    return forest_figure(caption, rows, RATIO, reference=1.0, marks=MARKS)


def _cost(others: Sequence[ProfileRow], colours: Mapping[str, str], kind: str, title: str) -> Figure:
    names = [display_name(row.attention) for row in others]
    percents = [row.cost(kind).increase_percent or 0.0 for row in others]
    labels = [increase(row, kind) for row in others]
    most, least = max(*percents, 1e-9), min(*percents, 0.0)
    # Leave room at the right for the number after the longest bar.
    scale = alt.Scale(domain=[least, most + 0.3 * (most - least)], nice=False)
    bars = chart_of(
        {"mechanism": name, "increase": percent, "label": label}
        for name, percent, label in zip(names, percents, labels, strict=True)
    ).encode(
        y=alt.Y("mechanism:N", title=None, sort=names, axis=alt.Axis(grid=False)),
        x=alt.X("increase:Q", title=None, scale=scale, axis=None),
    )
    chart = alt.layer(
        bars.mark_bar(size=14).encode(
            color=colour_of("mechanism", colours),
            tooltip=["mechanism:N", number_tip("increase", "over the baseline, %")],
        ),
        bars.mark_text(align="left", baseline="middle", dx=6, fontSize=12, **INK).encode(text="label:N"),
    )
    said = "; ".join(f"{name} {label}" for name, label in zip(names, labels, strict=True))
    description = f"{title} over the baseline: {said}."
    caption = Caption(f"added_{kind}", "cost", f"{title}, over the baseline", description)
    return caption.figure(chart, height=26 * len(names) + 6)
