"""The figures of planned comparisons: what each part gains, and accuracy over the values of an option."""

from typing import Any

import altair as alt

from foveate.records.study import Records
from foveate.report.core.notation import contrast_name
from foveate.report.core.theme import COLOURS, PLAIN_COLOUR, Figure, number_tip, specification

__all__ = ["contrast_figures"]


def contrast_figures(summary: dict[str, Any], records: Records) -> list[Figure]:
    """A forest of the planned comparisons, and for each swept option its values."""
    design = summary["study"]["design"]
    tests = [test for test in summary["tests"] if test["n"]] if design["contrasts"] else []
    made = [_forest(tests, records)] if tests else []
    options = dict.fromkeys(value["option"] for value in design["values"])
    return made + [_values(option, summary, records) for option in options]


def _forest(tests: list[dict[str, Any]], records: Records) -> Figure:
    means, dots = [], []
    names = []
    for test in tests:
        name = contrast_name(test)
        names.append(name)
        mean = {"comparison": name, "group": test["group"], "gain": 100 * test["difference"]}
        if test["ci95"]:
            mean |= {"low": 100 * test["ci95"][0], "high": 100 * test["ci95"][1]}
        means.append(mean)
        before, after = records.results[test["a"]], records.results[test["b"]]
        for seed in sorted(before.keys() & after.keys()):
            gain = after[seed]["test"]["accuracy"] - before[seed]["test"]["accuracy"]
            dots.append({"comparison": name, "group": test["group"], "seed": seed, "gain": 100 * gain})
    x = alt.X("gain:Q", title="Gain in test accuracy, points")
    y = alt.Y("comparison:N", title=None, sort=names, axis=alt.Axis(grid=False, labelLimit=260))
    groups = list(dict.fromkeys(test["group"] for test in tests))
    palette = [COLOURS[number % len(COLOURS)] for number in range(len(groups))]
    colour = alt.Color("group:N", scale=alt.Scale(domain=groups, range=palette), legend=None)
    interval = alt.Chart(alt.Data(values=means)).encode(y=y, color=colour)
    tips = [number_tip(field, style="+.2f") for field in ("gain", "low", "high")]
    chart = alt.layer(
        alt.Chart(alt.Data(values=[{}])).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0)),
        interval.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q"), x2="high:Q"),
        alt.Chart(alt.Data(values=dots))
        .mark_point(size=28, yOffset=8, strokeWidth=1.2)
        .encode(x=x, y=y, color=colour, tooltip=["comparison:N", "seed:O", number_tip("gain", style="+.2f")]),
        interval.mark_point(shape="diamond", size=110, filled=True, opacity=1).encode(
            x=x, tooltip=["comparison:N", *tips]
        ),
    )
    seen = "; ".join(f"{mean['comparison']} {mean['gain']:+.2f} points" for mean in means)
    description = f"Gains of the planned comparisons: {seen}."
    spec = specification(chart, description, height=30 * len(means) + 10)
    return Figure("contrasts", "contrasts", "Planned comparisons", description, spec)


def _values(option: str, summary: dict[str, Any], records: Records) -> Figure:
    rows = {row["attention"]: row for row in summary["rows"]}
    means, dots = [], []
    for value in summary["study"]["design"]["values"]:
        row = rows.get(value["label"])
        if value["option"] != option or row is None:
            continue
        mean = {"value": value["value"], "accuracy": 100 * row["accuracy"]["mean"]}
        if row["accuracy"]["ci95"]:
            mean |= {"low": 100 * row["accuracy"]["ci95"][0], "high": 100 * row["accuracy"]["ci95"][1]}
        means.append(mean)
        dots += [
            {"value": value["value"], "seed": seed, "accuracy": 100 * run["test"]["accuracy"]}
            for seed, run in sorted(records.results[value["label"]].items())
        ]
    order = [mean["value"] for mean in means]
    x = alt.X("value:N", title=option, sort=order, axis=alt.Axis(labelAngle=0, grid=False))
    y = alt.Y("accuracy:Q", title="Test accuracy, %", scale=alt.Scale(zero=False, nice=False, padding=8))
    interval = alt.Chart(alt.Data(values=means)).encode(x=x)
    tips = [alt.Tooltip("value:N", title=option), *(number_tip(key) for key in ("accuracy", "low", "high"))]
    chart = alt.layer(
        interval.mark_line(stroke=PLAIN_COLOUR, strokeDash=[3, 3]).encode(y=y),
        interval.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, stroke=COLOURS[0])
        .encode(y=alt.Y("low:Q"), y2="high:Q"),
        alt.Chart(alt.Data(values=dots))
        .mark_point(size=28, xOffset=9, strokeWidth=1.2, stroke=COLOURS[0])
        .encode(x=x, y=y, tooltip=["value:N", "seed:O", number_tip("accuracy")]),
        interval.mark_point(shape="diamond", size=110, filled=True, opacity=1, color=COLOURS[0]).encode(
            y=y, tooltip=tips
        ),
    )
    listed = "; ".join(f"{mean['value']}: {mean['accuracy']:.2f} %" for mean in means)
    description = f"Test accuracy by {option}, mean and 95 % interval: {listed}."
    spec = specification(chart, description, height=240)
    return Figure(f"values_{option}", "values", f"Accuracy by {option}", description, spec)
