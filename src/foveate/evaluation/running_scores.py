"""Accuracy, loss and calibration error of a network, gathered batch by batch without keeping its answers."""

import torch
import torch.nn.functional as F
import torchmetrics.functional.classification as scores
from torch import Tensor

from foveate.evaluation.classification import CALIBRATION_BINS

__all__ = ["RunningScores"]


class RunningScores:
    """Three numbers an image are kept, whatever the number of classes.

    `values()` are those of `classification_scores` on all batches together.
    """

    def __init__(self) -> None:
        self._hits: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._confidences: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in logits (B, classes) and labels (B,)."""
        confidence, answer = logits.softmax(1).max(1)
        self._hits.append((answer == labels).cpu())
        self._losses.append(F.cross_entropy(logits.double(), labels, reduction="none").cpu())
        self._confidences.append(confidence.float().cpu())

    def values(self) -> dict[str, float | int | None]:
        """accuracy, loss (mean cross-entropy), ece (15 equal bins) and images; None of no images."""
        hits = torch.cat(self._hits) if self._hits else torch.empty(0)
        if not len(hits):
            return {"accuracy": None, "loss": None, "ece": None, "images": 0}
        # The calibration error of many classes is that of the answer given: right, or not.
        calibration = scores.binary_calibration_error(
            torch.cat(self._confidences), hits.long(), n_bins=CALIBRATION_BINS
        )
        return {
            "accuracy": hits.double().mean().item(),
            "loss": torch.cat(self._losses).mean().item(),
            "ece": calibration.item(),
            "images": len(hits),
        }
