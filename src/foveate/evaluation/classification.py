"""Scores of a classifier on a part of a data set."""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
import torchmetrics.functional.classification as scores
from torch import Tensor, nn

from foveate.records.run import ClassScores, Scores
from foveate.records.scores import CALIBRATION_BINS

__all__ = ["classification_scores", "predict"]


@torch.inference_mode()
def predict(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    prepare: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
    autocast: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) in float32 and labels (N,) of all batches, on the CPU.

    `network` is put into evaluation mode and left there. `prepare` turns a uint8 batch into a normalised one.
    """
    network.to(device).eval()
    logits, labels = [], []
    for images, targets in batches:
        with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            logits.append(network(prepare(images.to(device, non_blocking=True))).float())
        labels.append(targets)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def classification_scores(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> Scores:
    """Return the scores of logits (N, classes) against labels (N,).

    The loss is the mean cross-entropy in nats; precision, recall and f1 are macro averages over the classes
    that occur in `labels`; ece is the expected calibration error over 15 equal bins (Guo et al. 2017, eq. 3);
    confusion counts images by true class (row) and predicted class (column). A class that does not occur has
    support 0 and None for its scores: nothing was asked about it.
    """
    count = len(classes)
    support = torch.bincount(labels, minlength=count)
    averages = {
        "accuracy": scores.multiclass_accuracy(logits, labels, count, average=None),
        "precision": scores.multiclass_precision(logits, labels, count, average=None),
        "recall": scores.multiclass_recall(logits, labels, count, average=None),
        "f1": scores.multiclass_f1_score(logits, labels, count, average=None),
    }
    macro = {name: averages[name][support > 0].mean().item() for name in ("precision", "recall", "f1")}
    calibration = scores.multiclass_calibration_error(
        logits.softmax(1), labels, count, n_bins=CALIBRATION_BINS
    )
    per_class = []
    for index, name in enumerate(classes):
        found = int(support[index])
        values = {score: of_class[index].item() if found else None for score, of_class in averages.items()}
        per_class.append(ClassScores(name=name, **values, support=found))
    return Scores(
        accuracy=(logits.argmax(1) == labels).double().mean().item(),
        loss=F.cross_entropy(logits.double(), labels).item(),
        **macro,
        ece=calibration.item(),
        per_class=tuple(per_class),
        confusion=tuple(map(tuple, scores.multiclass_confusion_matrix(logits, labels, count).tolist())),
    )
