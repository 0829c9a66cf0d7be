"""The figures of several studies side by side: accuracy against cost, and all differences to plain."""

from typing import Any

import altair as alt

from foveate.records.labels import display_name
from foveate.report.core.theme import Figure, mechanism_colour, number_tip, specification
from foveate.report.joined.tables import study_titles, to_plain

__all__ = ["joined_figures"]

COSTS = (
    ("macs", "Multiply-adds of one image, millions", 1e-6),
    ("parameters", "Parameters, millions", 1e-6),
)
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
FAR_APART = 10
"""Costs whose ratio is more than this stand on a logarithmic scale."""


def joined_figures(joined: dict[str, Any]) -> list[Figure]:
    """Make every figure that the summaries have the numbers for."""
    studies = list(zip(study_titles(joined["studies"]), joined["studies"], strict=True))
    figures = [
        _against_cost(studies, *cost)
        for cost in COSTS
        if any(row[cost[0]] for _, summary in studies for row in summary["rows"])
    ]
    if any(to_plain(summary) for _, summary in studies):
        figures.append(_forest(studies))
    return figures


def _against_cost(studies: list[tuple[str, dict[str, Any]]], key: str, title: str, scale: float) -> Figure:
    values = []
    for name, summary in studies:
        for row in summary["rows"]:
            if row[key]:
                mean, std = 100 * row["accuracy"]["mean"], 100 * (row["accuracy"]["std"] or 0)
                value = {"study": name, "mechanism": display_name(row["attention"]), "cost": scale * row[key]}
                values.append(value | {"accuracy": mean, "low": mean - std, "high": mean + std})
    costs = [value["cost"] for value in values]
    spread: dict[str, Any] = {"type": "log"} if max(costs) > FAR_APART * min(costs) else {"zero": False}
    base = alt.Chart(alt.Data(values=values)).encode(
        # Without a grid: on a logarithmic scale it would have lines that no label explains.
        x=alt.X(
            "cost:Q",
            title=title,
            axis=alt.Axis(grid=False),
            scale=alt.Scale(padding=24, nice=False, **spread),
        ),
        color=_colour(studies),
    )
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            y=alt.Y(
                "accuracy:Q", title="Test accuracy, %", scale=alt.Scale(zero=False, padding=12, nice=False)
            ),
            shape=alt.Shape(
                "study:N",
                scale=alt.Scale(domain=[name for name, _ in studies], range=SHAPES),
                legend=alt.Legend(
                    orient="bottom", columns=1, labelLimit=320, symbolFillColor={"expr": "quiet"}
                ),
            ),
            tooltip=["study:N", "mechanism:N", number_tip("cost", title), number_tip("accuracy")],
        ),
    )
    heading = f"Accuracy against {title.split(',')[0].split(' of ')[0].lower()}"
    description = f"{heading}, for {' and '.join(name for name, _ in studies)}."
    return Figure(f"accuracy_{key}", "cost", heading, description, specification(chart, description, 320))


def _forest(studies: list[tuple[str, dict[str, Any]]]) -> Figure:
    """A line each: a study's name, then its mechanisms."""
    values: list[dict[str, Any]] = []
    for name, summary in studies:
        tests = [test for test in to_plain(summary).values() if test["n"]]
        if tests:
            values.append({"line": _line(len(values), ""), "study": name, "head": name})
        for test in tests:
            value = {"line": _line(len(values), test["b"]), "study": name, "mechanism": test["b"]}
            value["difference"] = 100 * test["difference"]
            if test["ci95"]:
                value |= {"low": 100 * test["ci95"][0], "high": 100 * test["ci95"][1]}
            values.append(value)
    lines = [value["line"] for value in values]
    axis = alt.Axis(grid=False, labelExpr="slice(datum.label, 4)", labelLimit=160)
    y = alt.Y("line:N", title=None, sort=None, axis=axis, scale=alt.Scale(domain=lines))
    base = alt.Chart(alt.Data(values=values)).encode(y=y)
    tips = [number_tip(field, style="+.2f") for field in ("difference", "low", "high")]
    chart = alt.layer(
        alt.Chart(alt.Data(values=[{}])).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0)),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q"), x2="high:Q", color=_colour(studies, legend=False)),
        base.transform_filter("isValid(datum.difference)")
        .mark_point(shape="diamond", size=130, filled=True, opacity=1)
        .encode(
            x=alt.X("difference:Q", title="Difference to the study's own plain, points"),
            color=_colour(studies, legend=False),
            tooltip=["study:N", "mechanism:N", *tips],
        ),
        base.transform_filter("isValid(datum.head)")
        .mark_text(
            align="left", fontWeight=600, fill={"expr": "ink"}, stroke={"expr": "paper"}, strokeWidth=0
        )
        .encode(text="head:N", x=alt.value(0)),
    )
    seen = "; ".join(
        f"{value['study']}, {value['mechanism']} {value['difference']:+.2f} points"
        for value in values
        if "difference" in value
    )
    description = f"Paired differences to plain, study by study: {seen}."
    spec = specification(chart, description, height=32 * len(lines) + 10)
    return Figure("differences", "differences", "Differences to plain", description, spec)


def _line(number: int, label: str) -> str:
    """A line's key: its number, which the axis cuts off, keeps equal mechanisms of two studies apart."""
    return f"{number:03d} {label}"


def _colour(studies: list[tuple[str, dict[str, Any]]], *, legend: bool = True) -> alt.Color:
    """One colour a mechanism, the same in all studies."""
    labels = dict.fromkeys(row["attention"] for _, summary in studies for row in summary["rows"])
    return mechanism_colour({"rows": [{"attention": label} for label in labels]}, legend=legend)
