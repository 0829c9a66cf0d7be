"""The images of a detection or a segmentation under each condition, and the scores of a network on them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data.corruptions import LEAST_SIDE, corrupt
from foveate.data.dense.dataset import DenseData
from foveate.data.dense.store import DenseStore
from foveate.data.images import UnreadableImageError, broken_images, probe
from foveate.data.survey import in_threads, spread
from foveate.errors import RequestError
from foveate.inspection.robustness.corrupting import generator_of
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.records.robustness import CLEAN, CorruptionKey, DenseRow
from foveate.records.run import Scores
from foveate.tasks import TaskSettings, find_task
from foveate.tasks.detection import DetectionSteps
from foveate.tasks.evaluating import targets_on
from foveate.tasks.segmentation import SegmentationSteps
from foveate.tasks.task import PartTally, Step
from foveate.training.settings import task_settings

__all__ = ["DenseImages", "own_batch_size"]

BATCH_SIZE = 8
"""Images a batch where the runs do not agree on another number."""


def own_batch_size(trained: Sequence[Trained]) -> int:
    """Return the batch size with which the runs were tested, if it is one, else 8.

    Networks pad the images of a batch to one size, so that batches of the same images give the same scores.
    """
    sizes = {one.spec.recipe.batch_size if one.spec else None for one in trained}
    size = sizes.pop()
    return BATCH_SIZE if sizes or size is None else size


class DenseImages:
    """Batches of lists: uint8 images (C, H, W) of their stored sizes, and their boxes or masks.

    Each image is corrupted by itself. Its random numbers depend on the seed, the corruption, the severity and
    its position in the test part. Boxes and masks stay as they are.
    """

    def __init__(self, data: DenseData, settings: RobustnessSettings, device: torch.device) -> None:
        self.data, self.settings, self.device = data, settings, device
        labels = data.test.labels
        self.chosen = np.arange(len(labels)) if settings.limit is None else spread(labels, settings.limit)

    def short_sides(self) -> tuple[int, int]:
        """Return the smallest and the largest short side of the images in pixels, from their headers.

        Raises:
            RequestError: an image is broken, or too small to be corrupted.
        """
        store = self.data.test
        assert isinstance(store, DenseStore)

        def read(k: int) -> int | UnreadableImageError:
            try:
                header = probe(store.part[int(self.chosen[k])])
            except UnreadableImageError as error:
                return error.with_traceback(None)
            return min(header.height, header.width)

        found = in_threads(read, len(self.chosen))
        faults = [(k, one) for k, one in enumerate(found) if isinstance(one, UnreadableImageError)]
        if faults:
            raise broken_images([(store.part.where(int(self.chosen[k])), error) for k, error in faults])
        sides = [one for one in found if isinstance(one, int)]
        least = sides.index(min(sides))
        if sides[least] < LEAST_SIDE:
            raise RequestError(
                f"corruptions need images of at least {LEAST_SIDE} pixels a side, and "
                f"{store.part.where(int(self.chosen[least]))} has {sides[least]}: remove such images"
            )
        return sides[least], max(sides)

    def count_batches(self, name: str, severity: int | None) -> int:
        """Return the number of batches, which is that of every condition."""
        return -(-len(self.chosen) // self.settings.batch_size)

    def batches(
        self, name: str, severity: int | None, unreadable: list[str]
    ) -> Iterator[tuple[list[Tensor], list[Any]]]:
        """Give images and targets, the images on the device."""
        size = self.settings.batch_size
        for start in range(0, len(self.chosen), size):
            chunk = self.chosen[start : start + size]
            stored, targets = self.data.test.__getitems__(chunk)
            images = [image.to(self.device) for image in stored]
            if name != CLEAN:
                pairs = zip(images, chunk.tolist(), strict=True)
                images = [self._corrupted(image, name, severity, place) for image, place in pairs]
            yield images, targets_on(self.device, targets)

    def scoring(self, one: Trained) -> "DenseScores":
        """Return new, empty scores of a network, which are those of the test of its run."""
        settings = task_settings(one.spec.recipe) if one.spec else TaskSettings()
        # Runs from pretrained weights normalise as the weights expect, and not by their own images.
        data = replace(self.data, mean=one.mean, std=one.std)
        steps = find_task(one.task).steps(settings, data).to(self.device)
        assert isinstance(steps, DetectionSteps | SegmentationSteps)
        return DenseScores(steps)

    def _corrupted(self, image: Tensor, name: str, severity: int | None, place: int) -> Tensor:
        generator = generator_of(self.settings.seed, name, severity, place, self.device)
        corrupted = corrupt(image[None].float() / 255, name, severity, generator)
        return (corrupted[0] * 255).round().to(torch.uint8)


class DenseScores:
    """Every metric of one detector or segmenter."""

    def __init__(self, steps: DetectionSteps | SegmentationSteps) -> None:
        self.steps, self.images = steps, 0
        self.part: PartTally = steps.part_tally()

    def add(self, network: nn.Module, images: list[Tensor], targets: list[Any]) -> bool:
        """Add the answers to a batch; return False instead where they are not finite."""
        step = self.steps.evaluation_step(network, (images, targets))
        if not _is_finite(step):
            return False
        self.part.add(step)
        self.images += step.images
        return True

    def row(self, key: CorruptionKey) -> DenseRow:
        """Return the metrics of all images that were added.

        Raises:
            RequestError: nothing is annotated in them.
        """
        scores = self.part.scores()
        values = {metric.name: scores.value_if_any(metric) for metric in self.steps.task.metrics}
        return DenseRow(key=key, scores=Scores.model_validate(values), images=self.images)


def _is_finite(step: Step) -> bool:
    """Return whether all numbers of logits, or of detections, are finite."""
    outputs = [step.outputs] if isinstance(step.outputs, Tensor) else step.outputs
    tensors = [
        one for output in outputs for one in ([output] if isinstance(output, Tensor) else output.values())
    ]
    return all(bool(one.isfinite().all()) for one in tensors)
