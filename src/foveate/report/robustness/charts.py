"""The figures of the robustness section: two metrics by severity, and differences by corruption."""

from collections.abc import Sequence

import altair as alt

from foveate.evaluation.statistics import Description
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.report.core.charts.axes import Axis, Caption, chart_of
from foveate.report.core.charts.band import BandLine, BandPoint, Steps, band_figure
from foveate.report.core.theme import Figure, colour_of, mechanism_colours, mechanism_names
from foveate.report.robustness.names import corruption_name
from foveate.report.robustness.summary import CorruptionSummary, RobustnessSummary

__all__ = ["robustness_figures"]

GROUP = "robustness"
ROW, GAP = 9, 10
"""Heights in pixels of a mechanism's point, and of the space between two corruptions."""


def robustness_figures(summary: RobustnessSummary) -> list[Figure]:
    """Make the figures for which there are numbers."""
    made = []
    if any(row.severity for row in summary.by_severity):
        scores = [(row.attention, row.severity, row.score) for row in summary.by_severity]
        beside = [(row.attention, row.severity, row.beside) for row in summary.by_severity]
        made.append(_by_severity(summary, scores, summary.metric))
        made.append(_by_severity(summary, beside, summary.beside))
    if summary.corruptions:
        made.append(_by_corruption(summary))
    return made


def _by_severity(
    summary: RobustnessSummary,
    values: Sequence[tuple[str, int, Description]],
    metric: Metric,
) -> Figure:
    names = mechanism_names(summary.labels)
    without = "; without noise of a stated σ" if summary.sigmas else ""
    lines = [
        BandLine(
            display_name(label),
            colour,
            [
                BandPoint(severity, found.mean, min(found.values), max(found.values))
                for of, severity, found in values
                if of == label and found.mean is not None
            ],
        )
        for label, colour in zip(summary.labels, mechanism_colours(names).values(), strict=True)
    ]
    heading = f"{metric.title} by severity"
    description = (
        f"{heading} (0: clean{without}), mean over corruptions, mean and range over seeds, for "
        f"{', '.join(names)}."
    )
    return band_figure(
        Caption(f"robustness_{metric.name}", GROUP, heading, description),
        lines,
        Steps("severity", f"Severity (0: clean{without})", is_ordinal=True),
        Axis(metric.name, metric.heading, factor=metric.scale),
        height=260,
    )


def _by_corruption(summary: RobustnessSummary) -> Figure:
    """Draw differences to the baseline if there are any, and scores otherwise."""
    metric = summary.metric
    colours = mechanism_colours(mechanism_names(summary.labels))
    tests = [(row, row.test.test) for row in summary.by_corruption if row.test]
    estimates = [(row, test.difference, test.ci95) for row, test in tests if test.difference is not None]
    if has_differences := bool(estimates):
        heading = f"{metric.title} by corruption, against the baseline"
        title = metric.heading_of_difference("Difference to the baseline")
        axis = Axis("mean", title, factor=metric.scale, style="+.2f")
        colours.pop(display_name(BASELINE), None)  # the others are drawn against it
    else:
        heading = f"{metric.title} by corruption"
        axis = Axis("mean", metric.heading, factor=metric.scale, style=".2f")
        rows = [(row, row.score) for row in summary.by_corruption]
        estimates = [(row, found.mean, found.ci95) for row, found in rows if found.mean is not None]
    names, order = [*colours], [corruption_name(name) for name in summary.corruptions]
    picked = alt.selection_point(name="picked", fields=["mechanism"], bind="legend")
    base = chart_of(_value(*estimate, axis) for estimate in estimates).encode(
        y=alt.Y("corruption:N", title=None, sort=order, axis=alt.Axis(grid=False, labelLimit=160)),
        yOffset=alt.YOffset("mechanism:N", sort=names),
        color=colour_of("mechanism", colours, legend=True),
        opacity=alt.condition(picked, alt.value(1), alt.value(0.1)),
    )
    zero = chart_of([{}]).mark_rule(stroke={"expr": "quiet"}).encode(x=alt.datum(0))
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(size=46, filled=True)
        .encode(
            x=alt.X("mean:Q", title=axis.title, scale=alt.Scale(zero=has_differences)),
            tooltip=["mechanism:N", "corruption:N", *axis.tips("mean", "low", "high")],
        )
        .add_params(picked),
    ]
    chart = alt.layer(*([zero] if has_differences else []), *layers)
    description = (
        f"{heading}, mean over severities with 95 % interval over seeds, for {', '.join(names)}: "
        f"{', '.join(order)}."
    )
    height = max(2 * GAP, ROW * len(names) + GAP) * len(order)
    return Caption("robustness_corruptions", GROUP, heading, description).figure(chart, height)


def _value(
    row: CorruptionSummary, mean: float, interval: tuple[float, float] | None, axis: Axis
) -> dict[str, str | float]:
    low, high = interval or (None, None)
    ends = {name: axis.factor * end for name, end in (("low", low), ("high", high)) if end is not None}
    names = {"mechanism": display_name(row.attention), "corruption": corruption_name(row.corruption)}
    return names | {"mean": axis.factor * mean} | ends
