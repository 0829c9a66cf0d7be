"""Words of a study's page that depend on the task."""

from foveate.notation import listing
from foveate.records.metric import DETECTION, SEGMENTATION, Metric
from foveate.report.study.summary import Summary

__all__ = ["image_size_words", "lacking_metrics", "lacking_sentence"]


def image_size_words(summary: Summary) -> str:
    """Say what the image size of a study is of."""
    task, size = summary.study.task.name, summary.study.data.image_size
    if task == DETECTION.name:
        return f"short side of {size} pixels"
    if task == SEGMENTATION.name:
        return f"{size} pixels (training crops; whole images in the test)"
    return f"{size} pixels"


def lacking_metrics(summary: Summary) -> list[Metric]:
    """Return the metrics that no candidate has, because the test part has nothing to measure them on."""
    return [
        metric
        for metric in summary.study.task.metrics
        if metric.may_be_missing and all(row.scores[metric.name].mean is None for row in summary.rows)
    ]


def lacking_sentence(summary: Summary) -> str:
    """Say which metrics the table of results lacks; "" if none."""
    lacking = lacking_metrics(summary)
    if not lacking:
        return ""
    if len(lacking) == 1:
        return f"{lacking[0].title} is not defined here: the test part has no objects of that size."
    titles = listing([metric.title for metric in lacking])
    return f"{titles} are not defined here: the test part has no objects of these sizes."
