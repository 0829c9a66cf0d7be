"""Accuracy, loss and calibration error of a network, computed over batches without keeping the logits."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchmetrics.functional.classification as scores
from torch import Tensor

from foveate.records.scores import CALIBRATION_BINS

__all__ = ["PartScores", "RunningScores"]


@dataclass(frozen=True)
class PartScores:
    """Scores of a classifier on some images; None where there is no image.

    Attributes:
        accuracy: share of the images whose class has the largest logit.
        loss: mean cross-entropy in nats.
        ece: expected calibration error over 15 equal bins.
        images: number of images.
    """

    accuracy: float | None
    loss: float | None
    ece: float | None
    images: int


class RunningScores:
    """Scores over all batches, of which three numbers an image are kept, whatever the number of classes.

    They equal those of `classification_scores` on all batches together.
    """

    def __init__(self) -> None:
        self._hits: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._confidences: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add logits (B, classes) and labels (B,)."""
        confidence, answer = logits.softmax(1).max(1)
        self._hits.append((answer == labels).cpu())
        self._losses.append(F.cross_entropy(logits.double(), labels, reduction="none").cpu())
        self._confidences.append(confidence.float().cpu())

    def values(self) -> PartScores:
        """Return the scores of all images that were added."""
        hits = torch.cat(self._hits) if self._hits else torch.empty(0)
        if not len(hits):
            return PartScores(accuracy=None, loss=None, ece=None, images=0)
        # With several classes, too, calibration is about the predicted class: it is right, or it is not.
        calibration = scores.binary_calibration_error(
            torch.cat(self._confidences), hits.long(), n_bins=CALIBRATION_BINS
        )
        return PartScores(
            accuracy=hits.double().mean().item(),
            loss=torch.cat(self._losses).mean().item(),
            ece=calibration.item(),
            images=len(hits),
        )
