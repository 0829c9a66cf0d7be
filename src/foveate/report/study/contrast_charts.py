"""The figures of comparisons: differences to the baseline, planned comparisons, and values of an option."""

from collections.abc import Iterable, Sequence

import altair as alt

from foveate.evaluation.comparisons import Comparison
from foveate.records.labels import display_name
from foveate.records.metric import Metric
from foveate.records.study import StudyRecords
from foveate.report.core.charts.axes import Caption, chart_of, difference_axis, metric_axis
from foveate.report.core.charts.forest import DENSE, Dot, ForestRow, forest_figure
from foveate.report.core.notation import contrast_name
from foveate.report.core.theme import (
    BASELINE_COLOUR,
    COLOURS,
    Figure,
    Spec,
    mechanism_colours,
    mechanism_names,
)
from foveate.report.study.summary import Summary

__all__ = ["contrast_figures", "differences_figure", "seen"]

LONG_NAMES = 260
"""The width of the names of planned comparisons, in pixels."""


def differences_figure(summary: Summary, records: StudyRecords) -> Figure:
    """Draw the difference of each mechanism to the baseline, with its interval and the single seeds."""
    metric = summary.metric
    colours = mechanism_colours(mechanism_names(row.attention for row in summary.rows))
    rows = [
        ForestRow(
            name=display_name(test.b),
            tips={"mechanism": display_name(test.b)},
            colour=colours[display_name(test.b)],
            estimate=test.test.difference,
            interval=_narrow(test),
            wider=_wide(test),
            dots=_dots(test, records, metric),
        )
        for test in summary.against_baseline.values()
        if test.test.difference is not None
    ]
    description = f"Paired differences to the baseline: {seen(rows, metric)}."
    caption = Caption("differences", "differences", "Differences to the baseline", description)
    axis = difference_axis(metric, "difference", "Difference to the baseline")
    return forest_figure(caption, rows, axis, margin=summary.margin)


def contrast_figures(summary: Summary, records: StudyRecords) -> list[Figure]:
    """Draw a forest of the planned comparisons, and for each swept option its values."""
    has_tests = any(test.test.n for test in summary.comparisons)
    made = [_contrasts(summary, records)] if has_tests else []
    options = dict.fromkeys(value.option for value in summary.study.design.values)
    return made + [_values(option, summary, records) for option in options]


def seen(rows: Iterable[ForestRow], metric: Metric) -> str:
    """Say which differences in `metric` the rows have."""
    return "; ".join(
        f"{', '.join(row.tips.values())} {metric.with_unit(metric.write_difference(row.estimate))}"
        for row in rows
    )


def _contrasts(summary: Summary, records: StudyRecords) -> Figure:
    metric = summary.metric
    groups = list(dict.fromkeys(test.group for test in summary.comparisons if test.test.n))
    rows = [
        ForestRow(
            name=contrast_name(test),
            tips={"comparison": contrast_name(test)},
            colour=COLOURS[groups.index(test.group) % len(COLOURS)],
            estimate=test.gain,
            interval=_narrow(test, metric.sign),
            wider=_wide(test, metric.sign),
            dots=_dots(test, records, metric, metric.sign),
        )
        for test in summary.comparisons
        if test.gain is not None
    ]
    description = f"Gains of the planned comparisons: {seen(rows, metric)}."
    caption = Caption("contrasts", "contrasts", "Planned comparisons", description)
    axis = difference_axis(metric, "gain", f"Gain in test {metric.noun}")
    return forest_figure(caption, rows, axis, margin=summary.margin, marks=DENSE, label_limit=LONG_NAMES)


def _narrow(test: Comparison, sign: int = 1) -> Sequence[float] | None:
    """Return the interval for new seeds on these images, of the difference times `sign`."""
    bounds = test.these_images.ci95 if test.these_images else test.test.ci95
    return bounds and sorted(sign * bound for bound in bounds)


def _wide(test: Comparison, sign: int = 1) -> Sequence[float] | None:
    """Return the interval for new seeds on new images, of the difference times `sign`."""
    bounds = test.new_images.ci95 if test.new_images else None
    return bounds and sorted(sign * bound for bound in bounds)


def _dots(test: Comparison, records: StudyRecords, metric: Metric, sign: int = 1) -> list[Dot]:
    """Return the difference b - a of each seed that is compared, times `sign`."""
    before, after = records.results[test.a], records.results[test.b]
    return [
        Dot(sign * (after[seed].test.value(metric) - before[seed].test.value(metric)), seed)
        for seed in test.seeds
    ]


def _values(option: str, summary: Summary, records: StudyRecords) -> Figure:
    """Draw the primary metric over the values of a swept option."""
    metric, axis = summary.metric, metric_axis(summary.metric, "Test", padding=8)
    scores = {row.attention: row.scores[metric.name] for row in summary.rows}
    means: list[Spec] = []
    dots = []
    for value in summary.study.design.values:
        score = scores.get(value.label)
        if value.option != option or score is None or score.mean is None:
            continue
        ends = {"low": score.ci95[0], "high": score.ci95[1]} if score.ci95 else {}
        found = {metric.name: score.mean, **ends}
        means.append({"value": value.value, **{key: metric.scale * found[key] for key in found}})
        dots += [
            {"value": value.value, "seed": seed, metric.name: metric.scale * run.test.value(metric)}
            for seed, run in sorted(records.results[value.label].items())
        ]
    order = [mean["value"] for mean in means]
    x = alt.X("value:N", title=option, sort=order, axis=alt.Axis(labelAngle=0, grid=False))
    y = alt.Y(f"{metric.name}:Q", title=axis.title, scale=axis.scale)
    base = chart_of(means).encode(x=x)
    tips = [alt.Tooltip("value:N", title=option), *axis.tips(metric.name, "low", "high")]
    chart = alt.layer(
        base.mark_line(stroke=BASELINE_COLOUR, strokeDash=[3, 3]).encode(y=y),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, stroke=COLOURS[0])
        .encode(y=alt.Y("low:Q"), y2="high:Q"),
        chart_of(dots)
        .mark_point(size=DENSE.dot, xOffset=9, strokeWidth=DENSE.dot_stroke, stroke=COLOURS[0])
        .encode(x=x, y=y, tooltip=["value:N", "seed:O", *axis.tips(metric.name)]),
        base.mark_point(shape="diamond", size=DENSE.diamond, filled=True, opacity=1, color=COLOURS[0]).encode(
            y=y, tooltip=tips
        ),
    )
    unit = " %" if metric.unit == "percent" else ""
    listed = "; ".join(f"{mean['value']}: {mean[metric.name]:.{metric.digits}f}{unit}" for mean in means)
    description = f"Test {metric.noun} by {option}, mean and 95 % interval: {listed}."
    caption = Caption(f"values_{option}", "values", f"{metric.title} by {option}", description)
    return caption.figure(chart, height=240)
