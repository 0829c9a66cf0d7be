"""What a task is: a loss, the metrics by which networks are compared, and a score for each image."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from foveate.records.metric import TaskRecord
from foveate.records.run import Scores
from foveate.records.scores import ImageScores

__all__ = ["Task"]


class Task(Protocol):
    """What networks are trained to do.

    `outputs` are what a network gives for a batch or a part of B images, `targets` what is true of them.
    """

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics, the primary one first."""

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss over the images, a scalar."""

    def sum_of_primary(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the primary metric over the images, a scalar; of it epochs take the mean."""

    def scores(self, outputs: Tensor, targets: Tensor, classes: Sequence[str]) -> Scores:
        """Return every metric of a whole part, all of whose outputs and targets are given."""

    def image_scores(self, run: str, outputs: Tensor, targets: Tensor) -> ImageScores:
        """Return what is kept of each image of the test part of the run with this id."""
