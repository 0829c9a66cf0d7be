"""The figures of a study: the metric against cost, differences to the baseline, curves, and classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from foveate.records.labels import display_name
from foveate.records.metric import LOSS, Metric
from foveate.records.run import Epoch
from foveate.records.study import StudyRecords
from foveate.report.core.charts.axes import Axis, Caption, metric_axis
from foveate.report.core.charts.band import EPOCHS, BandLine, BandPoint, band_figure
from foveate.report.core.charts.cost import CostPoint, cost_figure, pareto_front
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.study.class_charts import class_figures
from foveate.report.study.confusions import Confusions
from foveate.report.study.contrast_charts import contrast_figures, differences_figure
from foveate.report.study.dynamics_charts import learned_figures
from foveate.report.study.paying_charts import paying_figures
from foveate.report.study.precision_recall import PrecisionCurve, precision_figures
from foveate.report.study.summary import Price, Summary

__all__ = ["MACS", "PARAMETERS", "Cost", "cost_figures", "cost_points", "figures"]


@dataclass(frozen=True)
class Cost:
    """A kind of cost that candidates are drawn against.

    Attributes:
        name: in the names of figures.
        noun: in sentences.
        title: beside the axis.
        factor: from the values of records to the unit of the title.
        of: reads the cost from a price.
    """

    name: str
    noun: str
    title: str
    factor: float
    of: Callable[[Price], float | None]

    @property
    def axis(self) -> Axis:
        """The axis of costs."""
        return Axis("cost", self.title, self.factor)


LATENCY = Cost(
    "latency",
    "latency of one pass",
    "Latency of one pass, median, ms",
    1,
    lambda price: price.latency_ms_p50,
)
LATENCY_RATIO = Cost(
    "latency",
    "latency of one pass",
    "Latency of one pass, × the baseline's",
    1,
    lambda price: price.latency_ratio,
)
PARAMETERS = Cost("parameters", "parameters", "Parameters, millions", 1e-6, lambda price: price.parameters)
MACS = Cost("macs", "multiply-adds", "Multiply-adds, millions", 1e-6, lambda price: price.macs)


def figures(
    summary: Summary, records: StudyRecords, confusions: Confusions, curves: Sequence[PrecisionCurve] = ()
) -> list[Figure]:
    """Make every figure for which the records have data, with confusion matrices and curves of precision."""
    made = cost_figures(summary)
    if summary.study.design.contrasts:
        made += contrast_figures(summary, records)
    elif any(test.test.n for test in summary.against_baseline.values()):
        made.append(differences_figure(summary, records))
    for metric in (LOSS, summary.metric)[summary.metric.name == LOSS.name :]:
        made += _curve(records, metric, "train", "Training", Epoch.training_if_any)
        made += _curve(records, metric, "validation", "Validation", Epoch.validation_if_any)
    made += learned_figures(records) + paying_figures(summary) + precision_figures(curves)
    return made + class_figures(summary, records, confusions)


def cost_figures(summary: Summary) -> list[Figure]:
    """Make the figures of the metric against each cost that was measured; they need no curves."""
    return [_against_cost(summary, cost) for cost in _costs(summary)]


def _costs(summary: Summary) -> list[Cost]:
    """Return the costs that were measured; where all latencies have a ratio to the baseline's, the ratios."""
    prices = [row.price for row in summary.rows]
    costs = (LATENCY_RATIO if summary.has_latency_ratios else LATENCY, PARAMETERS, MACS)
    return [cost for cost in costs if any(cost.of(price) for price in prices)]


def _against_cost(summary: Summary, cost: Cost) -> Figure:
    metric = summary.metric
    colours = mechanism_colours(mechanism_names(row.attention for row in summary.rows))
    points = cost_points(summary, cost, colours)
    front = pareto_front(points, higher_is_better=metric.higher_is_better)
    heading = f"{metric.title} against {cost.noun}"
    description = f"{heading}. On the Pareto front: {', '.join(point.name for point in front)}."
    caption = Caption(f"{metric.name}_{cost.name}", "cost", heading, description)
    return cost_figure(caption, points, front, cost.axis, metric_axis(metric, "Test"))


def cost_points(summary: Summary, cost: Cost, colours: Mapping[str, str]) -> list[CostPoint]:
    """Return the candidates whose cost was measured; `colours` has their colours by name."""
    points = []
    for row in summary.rows:
        name, paid, score = display_name(row.attention), cost.of(row.price), row.scores[summary.metric.name]
        if paid and score.mean is not None:
            points.append(CostPoint(name, colours[name], paid, score.mean, score.std or 0))
    return points


def _curve(
    records: StudyRecords,
    metric: Metric,
    key: str,
    part: str,
    value_of: Callable[[Epoch, Metric], float | None],
) -> list[Figure]:
    """Draw the values by epoch; detectors have no loss in evaluation, and no metric in training."""
    names = mechanism_names(records.finished)
    colours = mechanism_colours(names)
    lines = []
    for label in records.finished:
        by_epoch: dict[int, list[float]] = {}
        for run in records.results[label].values():
            for epoch in run.epochs:
                if (value := value_of(epoch, metric)) is not None:
                    by_epoch.setdefault(epoch.epoch, []).append(value)
        points = [BandPoint.over(epoch, values) for epoch, values in sorted(by_epoch.items())]
        if points:
            lines.append(BandLine(display_name(label), colours[display_name(label)], points))
    if not lines:
        return []
    heading = f"{part} {metric.noun}"
    description = f"{heading} by epoch, mean and range over seeds, for {', '.join(names)}."
    caption = Caption(f"curve_{key}_{metric.name}", "curves", heading, description)
    return [band_figure(caption, lines, EPOCHS, metric_axis(metric, part))]
