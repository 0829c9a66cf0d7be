"""Image classification: cross-entropy loss, accuracy and other metrics, scores of each image."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from foveate.data import Augmentation, Data
from foveate.evaluation.classification import classification_scores, predict
from foveate.records.metric import CLASSIFICATION, TaskRecord
from foveate.records.scores import ImageScores, write_scores
from foveate.tasks.processes import Processes
from foveate.tasks.settings import TaskSettings
from foveate.tasks.task import Batch, Step, TaskResult

__all__ = ["Classification", "ClassificationSteps", "Prepare", "image_scores"]

LARGEST_LOSS = torch.finfo(torch.float16).max


class Prepare(Protocol):
    """A module that converts uint8 images (B, C, S, S) to normalised ones (B, C, s, s)."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Prepare images for training: augment them with the generator's random numbers."""

    def unaugmented(self, images: Tensor) -> Tensor:
        """Prepare images for evaluation, without any randomness."""


class Classification:
    """Images of one class each."""

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics; accuracy is the primary one."""
        return CLASSIFICATION

    def steps(self, settings: TaskSettings, data: Data) -> "ClassificationSteps":
        """Return the steps for these images; an unknown augmentation raises RequestError."""
        prepare = Augmentation(settings.augmentation, data.image_size, data.padding, data.mean, data.std)
        return ClassificationSteps(settings, prepare, data.classes)


class ClassificationSteps(nn.Module):
    """The steps of a classification: batches are uint8 images (B, C, S, S) and labels (B,).

    Outputs are logits (B, classes).
    """

    task = CLASSIFICATION

    def __init__(self, settings: TaskSettings, prepare: Prepare, classes: Sequence[str]) -> None:
        super().__init__()
        self.settings, self.prepare, self.classes = settings, prepare, classes

    def training_step(self, network: nn.Module, batch: Batch, generator: Generator) -> Step:
        """Return the mean cross-entropy of the augmented batch in nats, with the recipe's smoothing."""
        images, labels = batch
        logits = network(self._arrange(self.prepare(images, generator)))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        return Step(loss, logits, labels, len(labels))

    def evaluation_step(self, network: nn.Module, batch: Batch) -> Step:
        """Return the mean cross-entropy without smoothing, in nats."""
        images, labels = batch
        logits = network(self._arrange(self.prepare.unaugmented(images)))
        return Step(F.cross_entropy(logits, labels), logits, labels, len(labels))

    def tally(self) -> "CorrectTally":
        """Return a tally of the accuracy."""
        return CorrectTally()

    def test(
        self,
        network: nn.Module,
        batches: Iterable[Batch],
        *,
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> TaskResult:
        """Return accuracy, loss and the other metrics of all batches."""
        logits, labels = predict(network, batches, self.prepare.unaugmented, device=device, autocast=autocast)

        def keep(folder: Path, run: str) -> None:
            write_scores(folder, image_scores(run, logits, labels))

        return TaskResult(classification_scores(logits, labels, self.classes), len(labels), keep)

    def _arrange(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.settings.channels_last else images


class CorrectTally:
    """The share of images whose class has the largest logit; the sums stay on the device."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add logits (B, classes) and labels (B,)."""
        correct = (outputs.argmax(1) == targets).sum()
        sums = torch.stack([correct, torch.full_like(correct, len(targets))])
        self._sums = sums if self._sums is None else self._sums + sums

    def value(self, processes: Processes) -> float | None:
        """Return the accuracy."""
        if self._sums is None:
            return None
        correct, images = processes.sum(self._sums).tolist()
        return correct / images


def image_scores(run: str, logits: Tensor, labels: Tensor) -> ImageScores:
    """Return prediction, correctness, confidence, loss and class of each image, which are kept for `run`."""
    confidence, predicted = logits.float().softmax(1).max(1)
    loss = F.cross_entropy(logits.float(), labels, reduction="none").clamp(max=LARGEST_LOSS)
    return ImageScores(
        run,
        predicted=predicted.to(torch.int16).numpy(),
        correct=(predicted == labels).numpy(),
        confidence=confidence.half().numpy(),
        loss=loss.half().numpy(),
        label=labels.to(torch.int16).numpy(),
    )
