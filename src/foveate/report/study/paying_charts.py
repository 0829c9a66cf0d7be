"""The figures of when candidates start to pay: one for each, on the same scale."""

from collections.abc import Iterable

from foveate.evaluation.significance import Outcome
from foveate.evaluation.trajectories import Trajectory
from foveate.records.labels import display_name
from foveate.report.core.charts.axes import Caption, difference_axis
from foveate.report.core.charts.stepped import Step, stepped_figure
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.study.paying import gain_text
from foveate.report.study.summary import Summary

__all__ = ["paying_figures"]

ROOM = 0.06
"""Of the height of a figure, above and below what it shows."""


def paying_figures(summary: Summary) -> list[Figure]:
    """Draw the gain of each candidate by epoch; of a single epoch there is nothing to draw."""
    drawn = {label: one for label, one in (summary.trajectories or {}).items() if len(one.epochs) > 1}
    if not drawn:
        return []
    domain = _domain(drawn.values())
    colours = mechanism_colours(mechanism_names(row.attention for row in summary.rows))
    metric = summary.metric
    axis = difference_axis(metric, "gain", "Gain over the baseline")
    figures = []
    for place, (label, one) in enumerate(drawn.items()):
        name = display_name(label)
        gains = ", ".join(
            f"{gain_text(part, metric)} at epochs {part.first} to {part.last}"
            for part in (one.stretches[0], one.end)
        )
        description = f"Gain of {name} over the baseline in validation {metric.noun} by epoch: {gains}."
        figures.append(
            stepped_figure(
                Caption(f"paying_{place}", "paying", name, description),
                [*zip(one.epochs, one.gains, strict=True)],
                [Step(part.first, part.last, part.gain, part.band) for part in one.stretches],
                axis,
                colours[name],
                domain=domain,
                marked=one.from_epoch if one.outcome is Outcome.BETTER else None,
            )
        )
    return figures


def _domain(trajectories: Iterable[Trajectory]) -> tuple[float, float]:
    """Return the range of all means of stretches, and of the bands of the later half of each training."""
    values = [0.0]
    for one in trajectories:
        values += [part.gain for part in one.stretches]
        values += [end for part in one.stretches[len(one.stretches) // 2 :] for end in part.band or ()]
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.01
    return low - room, high + room
