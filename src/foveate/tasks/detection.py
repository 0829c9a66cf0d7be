"""Object detection: the losses of torchvision's detectors, mAP as COCO defines it, kept detections."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from foveate.data import Data
from foveate.data.dense.augment import DenseAugmentation
from foveate.data.dense.dataset import DenseData
from foveate.data.dense.targets import BoxTargets
from foveate.evaluation.detection import detection_scores
from foveate.evaluation.matching import match_detections
from foveate.records.boxes import ImageBoxes, ImageDetections
from foveate.records.detection_scores import write_detection_scores
from foveate.records.detections import write_detections
from foveate.records.metric import DETECTION, TaskRecord
from foveate.records.run import Scores
from foveate.tasks.evaluating import evaluated
from foveate.tasks.processes import Processes
from foveate.tasks.settings import TaskSettings
from foveate.tasks.task import Batch, Step, TaskResult

__all__ = ["Detection", "DetectionSteps"]

Image = TypeVar("Image", ImageBoxes, ImageDetections)
"""What belongs to one image."""


class Detection:
    """Images with boxes around the objects of each class."""

    @property
    def record(self) -> TaskRecord:
        """The name of the task and its metrics; mAP is the primary one."""
        return DETECTION

    def steps(self, settings: TaskSettings, data: Data) -> "DetectionSteps":
        """Return the steps for these images."""
        assert isinstance(data, DenseData)
        prepare = DenseAugmentation(
            settings.augmentation, data.mean, data.std, image_size=data.image_size, kind="boxes"
        )
        return DetectionSteps(prepare, data.classes, data.image_ids, data.categories)


class DetectionSteps(nn.Module):
    """The steps of a detection: batches are lists of uint8 images (C, H, W) and of their `BoxTargets`.

    A detector in training mode gives a dict of losses, which are added up; in evaluation mode it gives boxes
    of pixels, labels and scores. Its labels count from 1, because 0 is the background.
    """

    task = DETECTION

    def __init__(
        self,
        prepare: DenseAugmentation,
        classes: tuple[str, ...],
        image_ids: Sequence[int],
        categories: Sequence[int],
    ) -> None:
        super().__init__()
        self.prepare, self.classes = prepare, classes
        self.image_ids, self.categories = image_ids, categories

    def training_step(self, network: nn.Module, batch: Batch, generator: Generator) -> Step:
        """Return the sum of the losses of the augmented batch; boxes of crowds are not trained on."""
        images, targets = self.prepare.augmented(*batch, generator)
        losses = network(images, [_for_network(one) for one in targets])
        return Step(sum(losses.values(), torch.zeros((), device=images[0].device)), None, None, len(images))

    def evaluation_step(self, network: nn.Module, batch: Batch) -> Step:
        """Return the detections of a batch; a detector in evaluation gives no loss."""
        images, targets = self.prepare.plain(*batch)
        return Step(None, network(images), targets, len(images))

    def tally(self) -> "DetectionTally":
        """Return a tally of mAP."""
        return DetectionTally(self.classes)

    def part_tally(self) -> "DetectionPart":
        """Return a tally of mAP and the other metrics."""
        return DetectionPart(self.classes)

    @torch.inference_mode()
    def test(
        self,
        network: nn.Module,
        batches: Iterable[Batch],
        *,
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> TaskResult:
        """Return mAP and the other metrics of all batches, of the detections as they are kept in the file."""
        part = self.part_tally()
        for step, _ in evaluated(self, network, batches, device, autocast):
            part.add(step)
        found, truth = part.tally.detections, part.tally.truth

        def keep(folder: Path, run: str) -> None:
            write_detections(folder, found, self.image_ids[: len(found)], self.categories)
            write_detection_scores(folder, match_detections(run, found, truth, len(self.classes)))

        return TaskResult(part.scores(), len(found), keep)


class DetectionTally:
    """mAP of the detections of an epoch, which are moved to the CPU batch by batch."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.detections: list[ImageDetections] = []
        self.truth: list[ImageBoxes] = []

    def add(self, outputs: Sequence[dict[str, Tensor]], targets: Sequence[BoxTargets]) -> None:
        """Add the detections for a batch and its boxes."""
        self.detections += map(_as_detections, outputs)
        self.truth += (one.as_boxes() for one in targets)

    def value(self, processes: Processes) -> float | None:
        """Return mAP; None if there is no box but of crowds. Process r of n has each n-th image from r on."""
        gathered = processes.gather((self.detections, self.truth))
        detections = _in_turn([found for found, _ in gathered])
        truth = _in_turn([there for _, there in gathered])
        if not any((~one.crowd).any() for one in truth):
            return None
        return detection_scores(detections, truth, self.classes).map


class DetectionPart:
    """mAP and the other metrics of the detections in a part, which are kept on the CPU."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.tally = DetectionTally(classes)

    def add(self, step: Step) -> None:
        """Add the detections of a batch and its boxes."""
        self.tally.add(step.outputs, step.targets)

    def scores(self) -> Scores:
        """Return mAP and the other metrics; without a box RequestError is raised."""
        return detection_scores(self.tally.detections, self.tally.truth, self.tally.classes)


def _for_network(targets: BoxTargets) -> dict[str, Tensor]:
    counted = ~targets.crowd
    return {"boxes": targets.boxes[counted], "labels": targets.labels[counted] + 1}


def _in_turn(lists: Sequence[Sequence[Image]]) -> list[Image]:
    """Return the first of each list, then the second of each, and so on; later lists may be shorter."""
    return [one for row in zip_longest(*lists) for one in row if one is not None]


def _as_detections(output: dict[str, Tensor]) -> ImageDetections:
    scores = output["scores"].float().cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    return ImageDetections(
        boxes=output["boxes"].float().cpu().numpy().reshape(-1, 4)[order],
        labels=output["labels"].cpu().numpy()[order] - 1,
        scores=scores[order],
    )
