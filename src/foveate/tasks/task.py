"""The interface of a task: a loss, the metrics that compare networks, and scores of each image."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from foveate.records.metric import TaskRecord
from foveate.records.run import Scores
from foveate.records.scores import ImageScores

__all__ = ["Task"]


class Task(Protocol):
    """A task that networks are trained for.

    `outputs` are a network's outputs for B images, and `targets` their true values.
    """

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics, the primary one first."""

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss over the images, a scalar."""

    def sum_of_primary(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the primary metric over the images, a scalar."""

    def scores(self, outputs: Tensor, targets: Tensor, classes: Sequence[str]) -> Scores:
        """Return every metric of a part from all its outputs and targets."""

    def image_scores(self, run: str, outputs: Tensor, targets: Tensor) -> ImageScores:
        """Return the scores of each test image, which are kept for the run with this id."""
