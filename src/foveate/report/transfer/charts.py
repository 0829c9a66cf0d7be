"""The figure of a transfer: what each mechanism reaches on the other set, seed by seed."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from foveate.records.labels import display_name
from foveate.report.core.theme import Figure, mechanism_colour, mechanism_names, number_tip, specification

__all__ = ["accuracy_figure"]


def accuracy_figure(way: Mapping[str, Any], name: str, group: str, title: str) -> Figure:
    """Accuracy by mechanism for one way of carrying over: seeds, mean and its 95 % interval."""
    means, dots = [], []
    for row in way["rows"]:
        mechanism, accuracy = display_name(row["attention"]), row["accuracy"]
        mean = {"mechanism": mechanism, "accuracy": 100 * accuracy["mean"]}
        if accuracy["ci95"]:
            mean |= {"low": 100 * accuracy["ci95"][0], "high": 100 * accuracy["ci95"][1]}
        means.append(mean)
        dots += [{"mechanism": mechanism, "accuracy": 100 * value} for value in accuracy["values"]]
    summary = dict(way)
    y = alt.Y("mechanism:N", title=None, sort=mechanism_names(summary), axis=alt.Axis(grid=False))
    scale = alt.Scale(zero=False, nice=False, padding=12)
    x = alt.X("accuracy:Q", title="Accuracy, %", scale=scale)
    colour = mechanism_colour(summary)
    base = alt.Chart(alt.Data(values=means)).encode(y=y, color=colour)
    tips = [number_tip(field) for field in ("accuracy", "low", "high")]
    chart = alt.layer(
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        alt.Chart(alt.Data(values=dots))
        .mark_point(size=28, yOffset=8, strokeWidth=1.2)
        .encode(x=x, y=y, color=colour, tooltip=["mechanism:N", number_tip("accuracy")]),
        base.mark_point(shape="diamond", size=110, filled=True, opacity=1).encode(
            x=x, tooltip=["mechanism:N", *tips]
        ),
    )
    seen = "; ".join(f"{mean['mechanism']} {mean['accuracy']:.1f} %" for mean in means)
    description = (
        f"Accuracy {title}, mean and 95 % interval over seeds: {seen}. Guessing: {100 * way['chance']:.1f} %."
    )
    spec = specification(chart, description, height=30 * len(means) + 10)
    return Figure(name, group, f"Accuracy, {title}", description, spec)
