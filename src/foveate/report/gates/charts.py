"""The charts of `foveate explain --gates`: what each gate is worth, and where it varies."""

import altair as alt

from foveate.records.gates import Replacement
from foveate.records.labels import display_name
from foveate.report.core.charts.axes import Axis, Caption, chart_of
from foveate.report.core.theme import COLOURS, Figure, Spec, colour_of, mechanism_colours, mechanism_names
from foveate.report.gates.sentences import margin_in_words
from foveate.report.gates.summary import GatesSummary, MechanismGates

__all__ = ["gates_figures"]

GROUP = "gates"
DIFFERENCE = Axis("difference", "Change in accuracy, points", factor=100, style="+.2f")
SHARE = Axis("share", "Share of the gate's variance between images, %", factor=100, style=".1f")
REPLACED = {
    Replacement.WHOLE: "per element",
    Replacement.CHANNEL: "per channel",
    Replacement.SPATIAL: "per position",
    Replacement.SWAPPED: "another's",
}
"""Which mean, or whose gate, stands in a gate's place; a phone's legend has no room for more."""
BAR, GAP = 8, 10
"""Heights in pixels of a bar, and of the space between two sites."""


def gates_figures(summary: GatesSummary) -> list[Figure]:
    """Make a figure for each mechanism with the changes in accuracy, and one with the shares of variance."""
    made = [_changes(row, number, summary.margin) for number, row in enumerate(summary.rows, 1) if row.gates]
    if any(gate.share.mean is not None for row in summary.rows for gate in row.gates):
        made.append(_shares(summary))
    return made


def _changes(row: MechanismGates, number: int, margin: float) -> Figure:
    colours = dict(zip(REPLACED.values(), COLOURS, strict=False))
    values = [
        _change(gate.name, REPLACED[kind], test.equivalence.difference, test.equivalence.interval)
        for gate in row.gates
        for kind, test in gate.tests.items()
    ]
    sites = [gate.name for gate in row.gates]
    base = chart_of(values).encode(
        y=alt.Y("gate:N", title=None, sort=sites, axis=alt.Axis(grid=False, labelLimit=180)),
        yOffset=alt.YOffset("replaced:N", sort=[*colours]),
        color=colour_of("replaced", colours, legend=True, columns=2),
    )
    layers = [
        base.mark_bar().encode(
            x=alt.X("difference:Q", title=DIFFERENCE.title),
            tooltip=["gate:N", "replaced:N", *DIFFERENCE.tips("difference", "low", "high")],
        ),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.2, stroke={"expr": "ink"}, opacity=0.7)
        .encode(x=alt.X("low:Q"), x2="high:Q"),
        chart_of([{}]).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0)),
        *(
            chart_of([{}])
            .mark_rule(stroke={"expr": "quiet"}, strokeDash=[4, 4])
            .encode(x=alt.datum(DIFFERENCE.factor * end))
            for end in (-margin, margin)
        ),
    ]
    name = display_name(row.attention)
    title = f"What the gates of {name} are worth"
    description = (
        f"{title}: the change in accuracy when its mean over images (per element, per channel or per "
        "position) or another image's gate stands in the place of one gate, with its 90 % interval, for "
        f"{', '.join(sites)}. The dashed lines are at {margin_in_words(margin)}."
    )
    caption = Caption(f"gates_{number}", GROUP, title, description)
    return caption.figure(alt.layer(*layers), (BAR * len(colours) + GAP) * len(sites))


def _change(gate: str, replaced: str, mean: float | None, interval: tuple[float, float] | None) -> Spec:
    low, high = interval or (None, None)
    numbers = {"difference": mean, "low": low, "high": high}
    scaled = {name: DIFFERENCE.factor * value for name, value in numbers.items() if value is not None}
    return {"gate": gate, "replaced": replaced, **scaled}


def _shares(summary: GatesSummary) -> Figure:
    names = mechanism_names(row.attention for row in summary.rows)
    colours = mechanism_colours(names)
    values = [
        {
            "gate": gate.name,
            "mechanism": display_name(row.attention),
            "share": SHARE.factor * gate.share.mean,
        }
        for row in summary.rows
        for gate in row.gates
        if gate.share.mean is not None
    ]
    sites = list(dict.fromkeys(str(value["gate"]) for value in values))
    chart = chart_of(values).encode(
        y=alt.Y("gate:N", title=None, sort=sites, axis=alt.Axis(grid=False, labelLimit=180)),
        yOffset=alt.YOffset("mechanism:N", sort=names),
        color=colour_of("mechanism", colours, legend=True),
    )
    bars = chart.mark_bar().encode(
        x=alt.X("share:Q", title=SHARE.title, scale=alt.Scale(domain=[0, 100])),
        tooltip=["mechanism:N", "gate:N", *SHARE.tips("share")],
    )
    title = "How much of a gate's variance lies between images"
    description = f"{title}, mean over seeds, for {', '.join(names)}: {', '.join(sites)}."
    height = max(2 * GAP, BAR * len(names) + GAP) * len(sites)
    return Caption("gates_shares", GROUP, title, description).figure(alt.layer(bars), height)
