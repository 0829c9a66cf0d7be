"""The figures of the robustness section: accuracy and calibration by severity, differences by corruption."""

from typing import Any

import altair as alt

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.theme import Figure, mechanism_colour, mechanism_names, number_tip, specification
from foveate.report.robustness.tables import condition_name

__all__ = ["robustness_figures"]

GROUP = "robustness"


def robustness_figures(summary: dict[str, Any]) -> list[Figure]:
    """Make those figures that there are numbers for."""
    made = []
    if any(row["severity"] for row in summary["by_severity"]):
        made.append(_by_severity(summary, "accuracy", "Accuracy by severity", "Accuracy, %"))
        made.append(_by_severity(summary, "ece", "Calibration error by severity", "Calibration error, %"))
    if summary["corruptions"]:
        made.append(_by_corruption(summary))
    return made


def _by_severity(summary: dict[str, Any], score: str, title: str, axis: str) -> Figure:
    values = []
    for row in summary["by_severity"]:
        found = row[score]
        if found["mean"] is None:
            continue
        value = {"mechanism": display_name(row["attention"]), "severity": row["severity"]}
        value |= {"mean": 100 * found["mean"]}
        value |= {"low": 100 * min(found["values"]), "high": 100 * max(found["values"])}
        values.append(value)
    levels = sorted({value["severity"] for value in values})
    colour = mechanism_colour(summary, legend=True)
    picked = alt.selection_point(name="picked", fields=["mechanism"], bind="legend")
    free = alt.Scale(zero=False)
    noise = any(name.startswith("noise_") for name in summary["averaged"])
    without = "; noise of a stated σ left out" if noise else ""
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "severity:O",
            title=f"Severity (0: clean{without})",
            sort=levels,
            axis=alt.Axis(labelAngle=0, grid=False),
        ),
        color=colour,
    )
    tips = ["mechanism:N", "severity:O", *(number_tip(field) for field in ("mean", "low", "high"))]
    chart = alt.layer(
        base.mark_area().encode(
            y=alt.Y("low:Q", scale=free),
            y2="high:Q",
            opacity=alt.condition(picked, alt.value(0.16), alt.value(0.02)),
        ),
        base.mark_line(strokeWidth=2, point={"size": 30})
        .encode(
            y=alt.Y("mean:Q", title=axis, scale=free),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.12)),
            tooltip=tips,
        )
        .add_params(picked),
    )
    description = (
        f"{title} (0: clean{without}), mean over corruptions, mean and range over seeds, for "
        f"{', '.join(mechanism_names(summary))}."
    )
    return Figure(f"robustness_{score}", GROUP, title, description, specification(chart, description, 260))


def _by_corruption(summary: dict[str, Any]) -> Figure:
    """Differences to plain where there are some, accuracies otherwise."""
    rows = [row for row in summary["by_corruption"] if row["test"] and row["test"]["difference"] is not None]
    values = []
    for row in rows or summary["by_corruption"]:
        found = row["test"] if rows else row["accuracy"]
        mean = found["difference"] if rows else found["mean"]
        if mean is None:
            continue
        value = {"mechanism": display_name(row["attention"]), "corruption": condition_name(row["corruption"])}
        value |= {"mean": 100 * mean}
        if found["ci95"]:
            value |= {"low": 100 * found["ci95"][0], "high": 100 * found["ci95"][1]}
        values.append(value)
    order = [condition_name(name) for name in summary["corruptions"]]
    names = [name for name in mechanism_names(summary) if not rows or name != display_name(BASELINE)]
    colour = mechanism_colour(summary, legend=True)
    colour["legend"]["values"] = names  # plain has no point where the others stand against it
    picked = alt.selection_point(name="picked", fields=["mechanism"], bind="legend")
    opacity = alt.condition(picked, alt.value(1), alt.value(0.1))
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("corruption:N", title=None, sort=order, axis=alt.Axis(grid=False, labelLimit=160)),
        yOffset=alt.YOffset("mechanism:N", sort=names),
        color=colour,
        opacity=opacity,
    )
    title = "Difference to plain, points" if rows else "Accuracy, %"
    x = alt.X("mean:Q", title=title, scale=alt.Scale(zero=bool(rows)))
    style = "+.2f" if rows else ".2f"
    tips = [number_tip(field, style=style) for field in ("mean", "low", "high")]
    zero = alt.Chart(alt.Data(values=[{}])).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0))
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(size=46, filled=True)
        .encode(x=x, tooltip=["mechanism:N", "corruption:N", *tips])
        .add_params(picked),
    ]
    chart = alt.layer(*([zero] if rows else []), *layers)
    heading = "Accuracy by corruption, against plain" if rows else "Accuracy by corruption"
    description = (
        f"{heading}, mean over severities with 95 % interval over seeds, for {', '.join(names)}: "
        f"{', '.join(order)}."
    )
    spec = specification(chart, description, height=max(20, 9 * len(names) + 10) * len(order))
    return Figure("robustness_corruptions", GROUP, heading, description, spec)
