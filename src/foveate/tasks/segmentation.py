"""Semantic segmentation: cross-entropy or Dice loss, mIoU and other metrics, a confusion matrix an image."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from foveate.data import Data
from foveate.data.dense.augment import DenseAugmentation, pad_to
from foveate.data.dense.dataset import STRIDE
from foveate.data.dense.store import DenseStore
from foveate.errors import RequestError
from foveate.evaluation.segmentation import confusion_of, segmentation_scores
from foveate.records.masks import IGNORED
from foveate.records.metric import SEGMENTATION, TaskRecord
from foveate.records.run import Scores
from foveate.records.samples import spread_positions, write_masks
from foveate.records.segmentation_scores import keep_confusions, write_segmentation_scores
from foveate.tasks.evaluating import evaluated
from foveate.tasks.processes import Processes
from foveate.tasks.settings import TaskSettings
from foveate.tasks.task import Batch, Step, TaskResult

__all__ = ["Segmentation", "SegmentationSteps", "segmentation_loss"]

LOSSES = ("cross_entropy", "dice", "both")
WEIGHTS = ("none", "balanced")


class Segmentation:
    """Images with a class for each pixel."""

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics; mIoU is the primary one."""
        return SEGMENTATION

    def steps(self, settings: TaskSettings, data: Data) -> "SegmentationSteps":
        """Return the steps for these images."""
        for name, given, known in (
            ("loss", settings.loss, LOSSES),
            ("class_weights", settings.class_weights, WEIGHTS),
        ):
            if given not in known:
                raise RequestError(f"{name} = {given}: expected {', '.join(known[:-1])} or {known[-1]}")
        prepare = DenseAugmentation(
            settings.augmentation, data.mean, data.std, image_size=data.image_size, kind="masks"
        )
        weights = balanced_weights(data) if settings.class_weights == "balanced" else None
        return SegmentationSteps(
            settings, prepare, data.classes, weights, samples=spread_positions(len(data.test))
        )


class SegmentationSteps(nn.Module):
    """The steps of a segmentation: batches are lists of uint8 images (C, H, W) and of masks (H, W).

    A mask holds classes, and 255 for pixels that are ignored. Outputs are logits (B, classes, H, W).
    Training sees crops; evaluation sees whole images, padded to the stride. The masks that are predicted for
    the images at the positions `samples` of the test part are kept, for pictures.
    """

    task = SEGMENTATION
    weights: Tensor | None

    def __init__(
        self,
        settings: TaskSettings,
        prepare: DenseAugmentation,
        classes: tuple[str, ...],
        weights: Tensor | None = None,
        samples: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.settings, self.prepare, self.classes = settings, prepare, classes
        self.samples = samples
        self.register_buffer("weights", weights, persistent=False)

    def training_step(self, network: nn.Module, batch: Batch, generator: Generator) -> Step:
        """Return the loss of augmented crops."""
        stored, masks = _typed(batch)
        images, targets = self.prepare.augmented(stored, masks, generator)
        logits = network(self._arrange(images))
        return Step(self._loss(logits, targets), logits, targets, len(masks))

    def evaluation_step(self, network: nn.Module, batch: Batch) -> Step:
        """Return loss and logits (B, classes, H, W) of whole images; the padding of masks is ignored."""
        images, masks = self.prepare.plain(*_typed(batch))
        padded, _ = pad_to(images, STRIDE)
        targets = padded.new_full((len(masks), *padded.shape[2:]), IGNORED, dtype=torch.int64)
        for target, mask in zip(targets, masks, strict=True):
            target[: mask.shape[0], : mask.shape[1]] = mask
        logits = network(self._arrange(padded))
        return Step(self._loss(logits, targets), logits, targets, len(masks))

    def tally(self) -> "ConfusionTally":
        """Return a tally of mIoU."""
        return ConfusionTally(self.classes)

    def part_tally(self) -> "SegmentationPart":
        """Return a tally of mIoU, the other metrics and the loss."""
        return SegmentationPart(self.classes)

    @torch.inference_mode()
    def test(
        self,
        network: nn.Module,
        batches: Iterable[Batch],
        *,
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> TaskResult:
        """Return mIoU and the other metrics from the confusion matrices (K, K) of whole images."""
        part = self.part_tally()
        confusions: list[np.ndarray] = []
        kept: dict[int, np.ndarray] = {}
        for step, (_, masks) in evaluated(self, network, batches, device, autocast):
            predicted = step.outputs.argmax(1)
            for place, mask in enumerate(masks, start=len(confusions)):
                if place in self.samples:
                    height, width = mask.shape
                    of_image = predicted[place - len(confusions), :height, :width]
                    kept[place] = of_image.to(torch.uint8).cpu().numpy()
            confusions += part.add(step)
        found = np.stack(confusions)

        def keep(folder: Path, run: str) -> None:
            write_segmentation_scores(folder, keep_confusions(run, found))
            write_masks(folder, kept)

        return TaskResult(part.scores(), len(found), keep)

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return segmentation_loss(logits, targets, self.settings.loss, self.weights)

    def _arrange(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.settings.channels_last else images


def _typed(batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    return batch


class ConfusionTally:
    """mIoU of one confusion matrix over all images, which stays on the device."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._confusion: Tensor | None = None

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add logits (B, K, H, W) and masks (B, H, W)."""
        found = confusion_of(outputs.argmax(1), targets, len(self._classes))
        self._confusion = found if self._confusion is None else self._confusion + found

    def value(self, processes: Processes) -> float | None:
        """Return mIoU."""
        if self._confusion is None:
            return None
        confusion = processes.sum(self._confusion).cpu().numpy()
        return segmentation_scores(confusion[None], 0.0, self._classes).miou


class SegmentationPart:
    """mIoU, the other metrics and the loss of a part, from one confusion matrix over all of its images."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._loss, self._images = 0.0, 0

    def add(self, step: Step) -> list[np.ndarray]:
        """Add the logits of a batch, and return the confusion matrix (K, K) of each of its images."""
        assert step.loss is not None
        self._loss += float(step.loss) * step.images
        self._images += step.images
        confusions = [
            confusion_of(one, target, len(self._classes)).cpu().numpy()
            for one, target in zip(step.outputs.argmax(1), step.targets, strict=True)
        ]
        self._confusion += sum(confusions)
        return confusions

    def scores(self) -> Scores:
        """Return mIoU, the other metrics and the loss; without a labelled pixel RequestError is raised."""
        return segmentation_scores(self._confusion, self._loss / self._images, self._classes)


def segmentation_loss(logits: Tensor, targets: Tensor, loss: str, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy over labelled pixels, the Dice loss over classes, or their sum.

    Args:
        logits: (B, K, H, W).
        targets: classes (B, H, W), int64; 255 is ignored.
        loss: "cross_entropy", "dice" or "both".
        weights: of the classes in the cross-entropy, (K,).
    """
    found = logits.new_zeros(())
    if loss != "dice":
        found = found + _cross_entropy(logits, targets, weights)
    if loss != "cross_entropy":
        from segmentation_models_pytorch.losses import DiceLoss

        found = found + DiceLoss("multiclass", ignore_index=IGNORED)(logits.float(), targets)
    return found


def _cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over labelled pixels; 0 where there are none, where torch returns NaN."""
    total = F.cross_entropy(logits, targets, weights, ignore_index=IGNORED, reduction="sum")
    labelled = targets != IGNORED
    counts = labelled.sum() if weights is None else weights[targets.where(labelled, 0)][labelled].sum()
    return total / counts.clamp(min=1e-6)


def balanced_weights(data: Data) -> Tensor:
    """Return weights (K,) of the classes that are inverse to their pixels in the training part, mean 1.

    Of at most 2,048 images; median frequency balancing (Eigen and Fergus 2015, section 4.3) up to a factor.
    """
    counts = torch.zeros(256, dtype=torch.float64)
    step = -(-len(data.train) // 2048)
    store = data.train
    assert isinstance(store, DenseStore)
    for index in range(0, len(store), step):
        counts += torch.bincount(store.targets(index).flatten().long(), minlength=256)
    shares = counts[: len(data.classes)].clamp(min=1)
    weights = 1 / shares
    return (weights * len(weights) / weights.sum()).float()
