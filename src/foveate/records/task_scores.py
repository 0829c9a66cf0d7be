"""The scores of the test images of a run, of whichever task it is."""

from pathlib import Path

from foveate.records.detection_scores import DetectionScores, read_detection_scores, write_detection_scores
from foveate.records.metric import DETECTION, SEGMENTATION
from foveate.records.scores import ImageScores, read_scores, write_scores
from foveate.records.segmentation_scores import (
    SegmentationScores,
    read_segmentation_scores,
    write_segmentation_scores,
)

__all__ = ["DenseScores", "TaskScores", "read_task_scores", "write_task_scores"]

DenseScores = DetectionScores | SegmentationScores
"""Those whose primary metric is no mean over images."""
TaskScores = ImageScores | DenseScores


def write_task_scores(folder: Path, scores: TaskScores) -> None:
    """Write `scores` into the run's `folder`, whole or not at all."""
    if isinstance(scores, DetectionScores):
        write_detection_scores(folder, scores)
    elif isinstance(scores, SegmentationScores):
        write_segmentation_scores(folder, scores)
    else:
        write_scores(folder, scores)


def read_task_scores(folder: Path, task: str) -> TaskScores | None:
    """Read the scores in the `folder` of a run of `task`; None if there are none.

    A task other than detection and segmentation keeps what a classification does.

    Raises:
        RequestError: the file is damaged, or holds something else.
    """
    if task == DETECTION.name:
        return read_detection_scores(folder)
    if task == SEGMENTATION.name:
        return read_segmentation_scores(folder)
    return read_scores(folder)
