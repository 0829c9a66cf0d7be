"""The images of a classification under each condition, and the scores of a classifier on them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data import Data, seen
from foveate.data.corruptions import corrupt
from foveate.data.prepared import PreparedCorruptions
from foveate.data.survey import spread
from foveate.evaluation.running_scores import RunningScores
from foveate.inspection.robustness.corrupting import generator_of
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.records.robustness import CLEAN, CorruptionKey, CorruptionRow

__all__ = ["ClassifiedImages"]


class ClassifiedImages:
    """Batches of images (B, C, H, W) in 0..1 and labels (B,), corrupted here or read from a prepared set."""

    def __init__(
        self,
        data: Data,
        settings: RobustnessSettings,
        device: torch.device,
        prepared: PreparedCorruptions | None,
    ) -> None:
        self.data, self.settings, self.device, self.prepared = data, settings, device, prepared

    def count_batches(self, name: str, severity: int | None) -> int:
        """Return the number of batches of a condition."""
        return len(self._chunks_of(name, severity))

    def batches(
        self, name: str, severity: int | None, unreadable: list[str]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images and labels on the device; add files that cannot be read to `unreadable`."""
        chunks = self._chunks_of(name, severity)
        if self.prepared is not None and severity is not None and name in self.prepared.corruptions:
            for chunk in chunks:
                images, labels, bad = self.prepared.read(name, severity, chunk)
                unreadable += bad
                if len(labels):
                    yield images.to(self.device), labels.to(self.device)
            return
        store = self.data.test
        for place, chunk in enumerate(chunks):
            canvases, labels = store.__getitems__(chunk)
            images = seen(canvases.to(self.device), self.data.image_size)
            if name != CLEAN:
                generator = generator_of(self.settings.seed, name, severity, place, self.device)
                images = corrupt(images, name, severity, generator)
            yield images, labels.to(self.device)

    def scoring(self, one: Trained) -> "ClassifierScores":
        """Return new, empty scores of a network."""
        return ClassifierScores(one)

    def _chunks_of(self, name: str, severity: int | None) -> list[np.ndarray]:
        """Return the places of the images of each batch."""
        if self.prepared is not None and severity is not None and name in self.prepared.corruptions:
            return self._chunks(self.prepared.labels(name, severity))
        return self._chunks(self.data.test.labels)

    def _chunks(self, labels: np.ndarray) -> list[np.ndarray]:
        cap, size = self.settings.limit, self.settings.batch_size
        chosen = np.arange(len(labels)) if cap is None else spread(labels, cap)
        return [chosen[start : start + size] for start in range(0, len(chosen), size)]


class ClassifierScores:
    """Accuracy, loss and calibration error of one classifier."""

    def __init__(self, one: Trained) -> None:
        self.one, self.running = one, RunningScores()

    def add(self, network: nn.Module, images: Tensor, targets: Tensor) -> bool:
        """Add the answers to a batch; return False instead where they are not finite."""
        logits = network(self.one.normalise(images)).float()
        if not logits.isfinite().all():
            return False
        self.running.add(logits, targets)
        return True

    def row(self, key: CorruptionKey) -> CorruptionRow:
        """Return the scores of all images that were added."""
        scores = self.running.values()
        return CorruptionRow(
            key=key, accuracy=scores.accuracy, loss=scores.loss, ece=scores.ece, images=scores.images
        )
