"""The interface of a task: what a training and a test do with a batch, and its metrics."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from foveate.data import Data
from foveate.records.metric import TaskRecord
from foveate.records.run import Scores
from foveate.tasks.processes import Processes
from foveate.tasks.settings import TaskSettings

__all__ = ["Batch", "PartTally", "Step", "Tally", "Task", "TaskResult", "TaskSteps"]

Batch = tuple[Any, Any]
"""Images and targets as a store gives them: what they are depends on the task."""


class Step(NamedTuple):
    """What a network made of a batch.

    Attributes:
        loss: the mean loss over the batch, a scalar; None where the network gives none.
        outputs: what `Tally.add` takes; None where the network gives none, as detectors in training.
        targets: the targets of the outputs.
        images: the number of images.
    """

    loss: Tensor | None
    outputs: Any
    targets: Any
    images: int


class Tally(Protocol):
    """The primary metric over the images of an epoch, added up batch by batch."""

    def add(self, outputs: Any, targets: Any) -> None:
        """Add the outputs for a batch."""

    def value(self, processes: Processes) -> float | None:
        """Return the metric over all images of all processes; None if nothing was added."""


class PartTally(Protocol):
    """Every metric over the images of a part, added up batch by batch: what a test computes."""

    def add(self, step: Step) -> object:
        """Add what a network in evaluation mode made of a batch."""

    def scores(self) -> Scores:
        """Return every metric over all images that were added; at least one was.

        Raises:
            RequestError: the images have nothing annotated, so that the metrics are not defined.
        """


@dataclass(frozen=True)
class TaskResult:
    """The result of a test.

    Attributes:
        scores: every metric of the part.
        images: the number of images.
        keep: writes the scores of each image, and what its task keeps beside them (detections, the masks of a
            few images), into the folder of the run with this id.
    """

    scores: Scores
    images: int
    keep: Callable[[Path, str], None]


class TaskSteps(Protocol):
    """The steps of a task for one set of images: augmentation, loss and metrics; an nn.Module."""

    task: TaskRecord

    def to(self, device: torch.device) -> "TaskSteps":
        """Move what the steps hold to `device`, and return them."""

    def training_step(self, network: nn.Module, batch: Batch, generator: Generator) -> Step:
        """Augment a batch with the generator's random numbers, and return the loss of `network` on it."""

    def evaluation_step(self, network: nn.Module, batch: Batch) -> Step:
        """Return loss and outputs of a network in evaluation mode, without augmentation."""

    def tally(self) -> Tally:
        """Return a new, empty tally of the primary metric."""

    def test(
        self,
        network: nn.Module,
        batches: Iterable[Batch],
        *,
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> TaskResult:
        """Evaluate `network`, which is put into evaluation mode, on all batches, in their order."""


class Task(Protocol):
    """A task that networks are trained for."""

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics, the primary one first."""

    def steps(self, settings: TaskSettings, data: Data) -> TaskSteps:
        """Return the steps for these images, or raise RequestError where the settings do not fit them."""
