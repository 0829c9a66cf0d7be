"""Explain segmentations: the logits of one class over the pixels that are labelled so."""

import numpy as np
import torch
from torch import Tensor

from foveate.data.dense.augment import pad_to
from foveate.data.dense.store import DenseStore
from foveate.evaluation.cam import evidence_maps
from foveate.evaluation.drawn.segmentation import iou_of
from foveate.evaluation.segmentation import confusion_of
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.dense.drawing import tinted
from foveate.inspection.explain.dense.objects import Finding, KnownObject, Seen, scaled
from foveate.records.metric import SEGMENTATION
from foveate.tasks.segmentation import STRIDE

__all__ = ["SegmentedObjects", "choose_classes"]


class SegmentedObjects:
    """One class of each image: the one with the most pixels, but for the one that most of the set is.

    What is explained is the mean logit of the class over its pixels, as in Seg-Grad-CAM (Vinogradova et al.
    2020, eq. 2).
    """

    name = SEGMENTATION.name
    method = "gradcam"
    rows = ("mask", "heat map")
    drawn = "the pixels of one class (yellow), with their intersection over union (IoU)"

    def labels(self, store: DenseStore, classes: int) -> np.ndarray:
        """Return the class of each image that is explained, int64 (N,); -1 where no pixel is labelled."""
        masks = (store.targets(index) for index in range(len(store)))
        counts = [torch.bincount(mask.flatten().long(), minlength=256)[:classes] for mask in masks]
        return choose_classes(torch.stack(counts).numpy())

    def known(self, image: Tensor, target: Tensor, label: int) -> KnownObject:
        """Return the pixels of class `label` in `image` (C, H, W)."""
        return KnownObject(label, target == label, target)

    def padded(self, image: Tensor) -> Tensor:
        """Return `image` (C, H, W) as a batch that is padded to the stride."""
        return pad_to([image], STRIDE)[0]

    def seen(self, built: BuiltNetwork, image: Tensor) -> Seen:
        """Return `image` (C, H, W) normalised, and padded to the stride as in the test."""
        prepared, _ = pad_to([built.prepare(image)], STRIDE)
        return Seen(prepared, self.padded(image)[0])

    def explain(self, built: BuiltNetwork, image: Tensor, known: KnownObject, method: str) -> Finding:
        """Return the map of the mean logit of the class over its pixels."""
        height, width = known.inside.shape
        inside, prepared = known.inside.to(built.device), self.seen(built, image).prepared

        def score(logits: Tensor) -> Tensor:
            return logits[known.label, :height, :width][inside].mean()

        maps, logits = evidence_maps(built.network, built.layer, prepared, [score], method)
        answer = logits[0, :, :height, :width].detach().argmax(dim=0).cpu()
        confusion = confusion_of(answer, known.target, logits.shape[1]).numpy()
        iou = iou_of(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))[known.label]
        return Finding(scaled(maps[0, :height, :width]), True, float(iou), answer)

    def draw_truth(self, picture: np.ndarray, known: KnownObject) -> np.ndarray:
        """Draw the pixels of the class in yellow, the others in a dark grey."""
        return tinted(picture, known.inside.numpy())

    def draw_answer(self, picture: np.ndarray, known: KnownObject, finding: Finding) -> np.ndarray:
        """Draw the pixels that the network takes for the class in yellow."""
        return tinted(picture, (finding.answer == known.label).numpy())

    def say(self, finding: Finding) -> str:
        """Write the IoU of the class in the image."""
        return f"IoU {finding.score:.2f}"


def choose_classes(counts: np.ndarray) -> np.ndarray:
    """Return a class for each image by the number of pixels of each class, counts (N, K): int64 (N,).

    It is the one with the most pixels, without the class that has most of all images together, which is taken
    where the image has no other; of equal ones the first. -1 where no pixel is labelled.
    """
    common = int(counts.sum(axis=0).argmax())
    others = counts.copy()
    others[:, common] = 0
    chosen = np.where(others.any(axis=1), others.argmax(axis=1), common)
    return np.where(counts.any(axis=1), chosen, -1).astype(np.int64)
