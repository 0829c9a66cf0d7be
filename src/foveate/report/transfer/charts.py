"""The figure of a transfer: what each mechanism reaches on the target, seed by seed."""

from foveate.report.core.charts.axes import Caption, metric_axis
from foveate.report.core.charts.forest import DENSE, Dot, ForestRow, forest_figure
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.transfer.summary import ACCURACY, WaySummary

__all__ = ["accuracy_figure"]


def accuracy_figure(way: WaySummary, name: str, group: str, title: str) -> Figure:
    """Draw the accuracy of each mechanism: its seeds, their mean and its 95 % interval."""
    names = mechanism_names(row.attention for row in way.rows)
    colours = mechanism_colours(names)
    rows = [
        ForestRow(
            mechanism,
            {"mechanism": mechanism},
            colours[mechanism],
            estimate=row.accuracy.mean,
            interval=row.accuracy.ci95,
            dots=[Dot(value) for value in row.accuracy.values],
        )
        for mechanism, row in zip(names, way.rows, strict=True)
        if row.accuracy.mean is not None
    ]
    means = "; ".join(f"{row.name} {100 * row.estimate:.1f} %" for row in rows)
    description = (
        f"Accuracy {title}, mean and 95 % interval over seeds: {means}. Guessing: {100 * way.chance:.1f} %."
    )
    caption = Caption(name, group, f"Accuracy, {title}", description)
    return forest_figure(caption, rows, metric_axis(ACCURACY, "Test"), reference=None, marks=DENSE)
