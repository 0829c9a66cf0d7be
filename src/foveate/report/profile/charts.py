"""The figures of a profile: latency over plain with its interval, and what each kind of cost grows by."""

from typing import Any

import altair as alt

from foveate.records.labels import BASELINE, display_name
from foveate.records.profile import ProfileRecord, ProfileRow
from foveate.report.core.theme import Figure, mechanism_colour, number_tip, specification
from foveate.report.profile.words import increase, ratio_range

__all__ = ["profile_figures"]

COSTS = (
    ("parameters", "Parameters"),
    ("macs", "Multiply-adds"),
    ("element_wise", "Element-wise operations"),
    ("bytes_moved", "Bytes moved"),
    ("peak_bytes", "Peak memory"),
)


def profile_figures(record: ProfileRecord) -> list[Figure]:
    """Make all figures; with plain alone there is nothing to draw."""
    others = [row for row in record.rows if row.attention != BASELINE]
    if not others:
        return []
    known = [cost for cost in COSTS if all(row.cost(cost[0]).increase_percent is not None for row in others)]
    return [_latency(record, others), *(_cost(record, others, *cost) for cost in known)]


def _latency(record: ProfileRecord, others: list[ProfileRow]) -> Figure:
    values = []
    for row in others:
        low, high = row.latency_ratio_ci95 or row.latency_ratio_quartiles
        value = {"mechanism": display_name(row.attention), "ratio": row.latency_ratio}
        value |= {"low": low, "high": high, "doubtful": row.is_doubtful}
        value |= dict(zip(("first", "third"), row.latency_ratio_quartiles, strict=True))
        values.append(value | {"said": f"{row.latency_ratio:.2f}×"})
    names = [value["mechanism"] for value in values]
    y = alt.Y("mechanism:N", title=None, sort=names, axis=alt.Axis(grid=False))
    x = alt.X(
        "ratio:Q", title="Latency, times plain's in the same round", scale=alt.Scale(zero=False, padding=28)
    )
    colour = mechanism_colour(record)
    base = alt.Chart(alt.Data(values=values)).encode(y=y)
    tips = [number_tip(field, style=".3f") for field in ("ratio", "low", "high", "first", "third")]
    point: dict[str, Any] = {"shape": "diamond", "size": 130, "opacity": 1}
    chart = alt.layer(
        alt.Chart(alt.Data(values=[{}])).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(1)),
        base.mark_bar(size=14, opacity=0.22).encode(x=alt.X("first:Q"), x2="third:Q", color=colour),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", color=colour),
        base.transform_filter("!datum.doubtful")
        .mark_point(**point, filled=True)
        .encode(x=x, color=colour, tooltip=["mechanism:N", *tips]),
        base.transform_filter("datum.doubtful")
        .mark_point(**point, fill={"expr": "paper"}, fillOpacity=1)
        .encode(x=x, stroke=colour, tooltip=["mechanism:N", *tips]),
        base.mark_text(
            baseline="bottom",
            dy=-11,
            fontSize=12,
            fill={"expr": "ink"},
            stroke={"expr": "paper"},
            strokeWidth=4,
            strokeJoin="round",
        ).encode(x=x, text="said:N"),
        base.mark_text(baseline="bottom", dy=-11, fontSize=12, fill={"expr": "ink"}).encode(
            x=x, text="said:N"
        ),
    )
    said = "; ".join(
        f"{row.attention} {row.latency_ratio:.2f} times plain ({ratio_range(row.latency_ratio_ci95)})"
        for row in others
    )
    description = f"Latency over plain: {said}."
    spec = specification(chart, description, height=54 * len(values) + 20)
    return Figure("latency", "differences", "Latency, times plain", description, spec)


def _cost(record: ProfileRecord, others: list[ProfileRow], key: str, title: str) -> Figure:
    values = [
        {
            "mechanism": display_name(row.attention),
            "increase": row.cost(key).increase_percent,
            "said": increase(row, key),
        }
        for row in others
    ]
    names = [value["mechanism"] for value in values]
    most = max([*(value["increase"] for value in values), 1e-9])
    least = min(0, *(value["increase"] for value in values))
    # Room at the right for the figure behind the longest bar.
    scale = alt.Scale(domain=[least, most + 0.3 * (most - least)], nice=False)
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("mechanism:N", title=None, sort=names, axis=alt.Axis(grid=False)),
        x=alt.X("increase:Q", title=None, scale=scale, axis=None),
    )
    chart = alt.layer(
        base.mark_bar(size=14).encode(
            color=mechanism_colour(record), tooltip=["mechanism:N", number_tip("increase", "over plain, %")]
        ),
        base.mark_text(align="left", baseline="middle", dx=6, fontSize=12, fill={"expr": "ink"}).encode(
            text="said:N"
        ),
    )
    said = "; ".join(f"{value['mechanism']} {value['said']}" for value in values)
    description = f"{title} over plain: {said}."
    spec = specification(chart, description, height=26 * len(values) + 6)
    return Figure(f"added_{key}", "cost", f"{title}, over plain", description, spec)
