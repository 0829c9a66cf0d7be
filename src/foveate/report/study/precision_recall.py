"""Precision against recall of a detection: figures, and the numbers behind them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from foveate.evaluation.drawn.detection import RECALLS
from foveate.evaluation.precision_recall import precision_at_recalls
from foveate.records.detection_scores import read_detection_scores
from foveate.records.file_names import RUNS
from foveate.records.labels import display_name
from foveate.records.metric import DETECTION
from foveate.records.study import StudyRecords
from foveate.report.core.charts.axes import Axis, Caption
from foveate.report.core.charts.band import BandLine, BandPoint, Steps, band_figure
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.study.summary import Summary

__all__ = ["PrecisionCurve", "find_curves", "precision_figures", "precision_numbers"]

IOUS = (0.5, 0.75)
RECALL = Steps("recall", "Recall, %", first=0)


class PrecisionCurve(NamedTuple):
    """The precision of a run at each of `RECALLS`, the mean over classes, at one IoU."""

    attention: str
    seed: int
    iou: float
    precision: np.ndarray


def find_curves(summary: Summary, records: StudyRecords) -> list[PrecisionCurve]:
    """Return the curves of each finished run of a detection at an IoU of 0.5 and of 0.75.

    There are none of other tasks, and none where the scores of the images cannot be used.
    """
    curves: list[PrecisionCurve] = []
    if records.study.task.name != DETECTION.name or summary.scores_obstacle:
        return curves
    for label, seed, run in records.runs():
        scores = read_detection_scores(records.folder / RUNS / run.id)
        for iou in IOUS if scores else ():
            assert scores is not None
            precision = precision_at_recalls(scores, iou)
            if precision is not None:
                curves.append(PrecisionCurve(label, seed, iou, precision))
    return curves


def precision_figures(curves: Sequence[PrecisionCurve]) -> list[Figure]:
    """Draw a figure for each IoU: a line for each candidate, the mean over its seeds."""
    return [_figure(iou, of_iou) for iou in IOUS if (of_iou := [one for one in curves if one.iou == iou])]


def _figure(iou: float, curves: Sequence[PrecisionCurve]) -> Figure:
    labels = list(dict.fromkeys(curve.attention for curve in curves))
    colours = mechanism_colours(mechanism_names(labels))
    lines, means = [], []
    for label in labels:
        values = np.stack([curve.precision for curve in curves if curve.attention == label], axis=1)
        name = display_name(label)
        steps = zip(np.round(100 * RECALLS).astype(int).tolist(), values.tolist(), strict=True)
        lines.append(BandLine(name, colours[name], [BandPoint.over(step, row) for step, row in steps]))
        means.append(f"{name} {100 * values.mean():.2f} %")
    heading = f"At an IoU of {iou:.2f}"
    description = (
        f"Precision against recall at an IoU of {iou:.2f}, mean over classes, mean and range over seeds. "
        f"Mean over recalls, which is the average precision: {', '.join(means)}."
    )
    caption = Caption(f"precision_recall_{round(100 * iou)}", "precision", heading, description)
    return band_figure(caption, lines, RECALL, Axis("precision", "Precision, %", 100), domain=(0, 100))


def precision_numbers(curves: Sequence[PrecisionCurve]) -> Iterator[dict[str, object]]:
    """Give each point of each run's curves."""
    for label, seed, iou, precision in curves:
        for recall, value in zip(RECALLS.round(2).tolist(), precision.tolist(), strict=True):
            yield {"attention": label, "seed": seed, "iou": iou, "recall": recall, "precision": value}
