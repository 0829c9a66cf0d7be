"""The figures of what attention learns: its numbers by layer, over the epochs."""

from statistics import fmean
from typing import Any

import altair as alt

from foveate.records.labels import display_name
from foveate.records.study import Records
from foveate.report.core.theme import Figure, number_tip, specification
from foveate.report.study.dynamics import learned_numbers

__all__ = ["learned_figures"]

NAMES = {"tau": "Temperature τ"}
DEPTHS = ((217, 148, 30), (196, 72, 126), (58, 110, 216))
"""RGB of the shallowest, a middle and the deepest layer: mid-tones, as those of mechanisms are."""


def learned_figures(records: Records) -> list[Figure]:
    """Draw each learned number of each candidate that has one: a line a layer, the mean over seeds."""
    by_figure: dict[tuple[str, str], dict[str, dict[int, list[float]]]] = {}
    for row in learned_numbers(records):
        layers = by_figure.setdefault((row["attention"], row["number"]), {})
        layers.setdefault(row["site"], {}).setdefault(row["epoch"], []).append(row["value"])
    return [
        _by_layer(name, label, records.finished.index(label), layers)
        for (label, name), layers in by_figure.items()
    ]


def _by_layer(name: str, label: str, number: int, layers: dict[str, dict[int, list[float]]]) -> Figure:
    values: list[dict[str, Any]] = [
        {"layer": layer, "epoch": epoch, "mean": round(fmean(over_seeds), 5)}
        for layer, epochs in layers.items()
        for epoch, over_seeds in sorted(epochs.items())
    ]
    last = max(value["epoch"] for value in values)
    palette = [_colour(place / max(len(layers) - 1, 1)) for place in range(len(layers))]
    picked = alt.selection_point(name=f"layer_{name}_{number}", fields=["layer"], bind="legend")
    quantity = NAMES.get(name, name)
    chart = alt.layer(
        alt.Chart(alt.Data(values=values))
        .mark_line(strokeWidth=2, point={"size": 24} if last <= 3 else False)
        .encode(
            x=alt.X(
                "epoch:Q",
                axis=alt.Axis(title="Epoch", format="d", tickCount=min(6, max(last - 1, 1)), grid=False),
            ).scale(nice=False, domain=[1, max(last, 2)]),
            y=alt.Y("mean:Q", title=quantity, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "layer:N",
                sort=list(layers),
                scale=alt.Scale(domain=list(layers), range=palette),
                legend=alt.Legend(columns=4, symbolLimit=0),
            ),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.12)),
            tooltip=["layer:N", "epoch:Q", number_tip("mean")],
        )
        .add_params(picked),
    )
    heading = f"{quantity} by layer: {display_name(label)}"
    ends = {layer: values[max(values)] for layer, values in layers.items()}
    description = f"{heading}, mean over seeds. After the last epoch: " + (
        ", ".join(f"{layer} {fmean(over_seeds):.3g}" for layer, over_seeds in ends.items()) + "."
    )
    spec = specification(chart, description, 240)
    return Figure(f"learned_{name}_{number}", "curves", heading, description, spec)


def _colour(depth: float) -> str:
    """The colour between those of DEPTHS for a depth from 0 to 1."""
    low = min(int(depth * 2), 1)
    share = 2 * depth - low
    channels = (round(a + share * (b - a)) for a, b in zip(DEPTHS[low], DEPTHS[low + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)
