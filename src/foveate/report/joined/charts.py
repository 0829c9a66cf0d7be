"""The figures of several studies side by side: the metric against cost, and all differences to baselines."""

from collections.abc import Mapping
from dataclasses import replace

from foveate.records.labels import display_name
from foveate.report.core.charts.axes import Caption, difference_axis, metric_axis
from foveate.report.core.charts.cost import costs_of_studies_figure
from foveate.report.core.charts.forest import ROOMY, ForestRow, Heading, forest_figure
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.joined.studies import JoinedStudies
from foveate.report.study.charts import MACS, PARAMETERS, Cost, cost_points
from foveate.report.study.contrast_charts import seen

__all__ = ["joined_figures"]

COSTS = (replace(MACS, title="Multiply-adds of one image, millions"), PARAMETERS)
WITHOUT_DOTS = ROOMY._replace(row_height=32)
LONG_NAMES = 160
"""The width of the names of mechanisms at the left, in pixels."""


def joined_figures(joined: JoinedStudies) -> list[Figure]:
    """Make every figure for which the summaries have numbers."""
    labels = [row.attention for summary in joined.studies for row in summary.rows]
    colours = mechanism_colours(mechanism_names(labels))
    figures = [_against_cost(joined, cost, colours) for cost in COSTS]
    return [figure for figure in (*figures, _differences(joined, colours)) if figure]


def _against_cost(joined: JoinedStudies, cost: Cost, colours: Mapping[str, str]) -> Figure | None:
    metric = joined.metric
    points = {title: cost_points(summary, cost, colours) for title, summary in joined.titled}
    if not any(points.values()):
        return None
    heading = f"{metric.title} against {cost.noun}"
    description = f"{heading}, for {' and '.join(points)}."
    caption = Caption(f"{metric.name}_{cost.name}", "cost", heading, description)
    return costs_of_studies_figure(caption, points, cost.axis, metric_axis(metric, "Test"))


def _differences(joined: JoinedStudies, colours: Mapping[str, str]) -> Figure | None:
    """Draw a row for each mechanism below the name of its study."""
    metric = joined.metric
    rows: list[ForestRow | Heading] = []
    for title, summary in joined.titled:
        own = [
            ForestRow(
                name=display_name(test.b),
                tips={"study": title, "mechanism": display_name(test.b)},
                colour=colours[display_name(test.b)],
                estimate=test.test.difference,
                interval=test.test.ci95,
            )
            for test in summary.against_baseline.values()
            if test.test.difference is not None
        ]
        rows += [Heading(title), *own] if own else []
    if not rows:
        return None
    drawn = [row for row in rows if isinstance(row, ForestRow)]
    description = f"Paired differences to the baseline, study by study: {seen(drawn, metric)}."
    caption = Caption("differences", "differences", "Differences to the baseline", description)
    axis = difference_axis(metric, "difference", "Difference to the study's own baseline")
    return forest_figure(caption, rows, axis, marks=WITHOUT_DOTS, label_limit=LONG_NAMES)
