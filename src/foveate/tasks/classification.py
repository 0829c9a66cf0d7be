"""Image classification: cross-entropy loss, accuracy and other metrics, scores of each image."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from foveate.evaluation.classification import classification_scores
from foveate.records.metric import CLASSIFICATION, TaskRecord
from foveate.records.run import Scores
from foveate.records.scores import ImageScores

__all__ = ["Classification"]

LARGEST_LOSS = torch.finfo(torch.float16).max


class Classification:
    """Images of one class each. Outputs are logits (B, classes), targets are labels (B,)."""

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics; accuracy is the primary one."""
        return CLASSIFICATION

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy in nats."""
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def sum_of_primary(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of images whose class has the largest logit."""
        return (outputs.argmax(1) == targets).sum()

    def scores(self, outputs: Tensor, targets: Tensor, classes: Sequence[str]) -> Scores:
        """Return the scores of `foveate.evaluation.classification.classification_scores`."""
        return classification_scores(outputs, targets, classes)

    def image_scores(self, run: str, outputs: Tensor, targets: Tensor) -> ImageScores:
        """Return prediction, correctness, confidence, loss and class of each image."""
        confidence, predicted = outputs.float().softmax(1).max(1)
        loss = F.cross_entropy(outputs.float(), targets, reduction="none").clamp(max=LARGEST_LOSS)
        return ImageScores(
            run,
            predicted=predicted.to(torch.int16).numpy(),
            correct=(predicted == targets).numpy(),
            confidence=confidence.half().numpy(),
            loss=loss.half().numpy(),
            label=targets.to(torch.int16).numpy(),
        )
