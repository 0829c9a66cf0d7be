"""Trained networks on corrupted images: made once for all of them, or read from a prepared set."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data import Data, seen
from foveate.data.corruptions import DEFINITIONS, corrupt
from foveate.data.prepared import PreparedCorruptions
from foveate.data.survey import spread
from foveate.evaluation.running_scores import PartScores, RunningScores
from foveate.inspection.assessment import Assessment
from foveate.inspection.robustness.failures import one_network
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.records.labels import display_name
from foveate.records.robustness import CLEAN, CorruptionKey, CorruptionRow, RobustnessRow

__all__ = ["Corrupting"]

MOST_NAMED = 3
"""At most this many of the images that cannot be read are named."""


class Corrupting:
    """The networks, each built when it is first needed, and the images that all of them are given."""

    def __init__(
        self,
        trained: Sequence[Trained],
        data: Data,
        settings: RobustnessSettings,
        device: torch.device,
        record: Assessment[RobustnessRow],
        prepared: PreparedCorruptions | None,
    ) -> None:
        self.trained, self.data, self.settings, self.device = list(trained), data, settings, device
        self.record, self.prepared = record, prepared
        self.networks: dict[str, nn.Module] = {}

    def measure(self, name: str, severity: int | None, on_share: Callable[[float], None]) -> None:
        """Measure the networks that have no row of this condition yet.

        `on_share` is called with the share of the images that is done; never if nothing is left to measure.
        """
        keys = {one.name: self._key(one, name, severity) for one in self.trained}
        todo = []
        for one in [*self.trained]:
            row = self.record.find(keys[one.name])
            if isinstance(row, CorruptionRow):
                self._exclude_unreadable(name, severity, row.unreadable, row.unreadable_some)
            elif self._build(one, _in_words(name, severity)):
                todo.append(one)
        if not todo:
            return
        running = {one.name: RunningScores() for one in todo}
        unreadable: list[str] = []
        batches = len(self._chunks_of(name, severity))
        for done, (images, labels) in enumerate(self._batches(name, severity, unreadable)):
            on_share(done / batches)
            for one in [one for one in todo if one in self.trained]:
                self._answer(one, images, labels, running[one.name], _in_words(name, severity))
        self._exclude_unreadable(name, severity, len(unreadable), unreadable[:MOST_NAMED])
        self.record.add(
            _row(keys[one.name], running[one.name].values(), unreadable)
            for one in todo
            if one in self.trained
        )

    def _exclude_unreadable(self, name: str, severity: int | None, number: int, some: Sequence[str]) -> None:
        """Record which images cannot be read, also where the row is of an earlier request."""
        if number:
            listed = "; ".join(some) + "; …" * (number > len(some))
            self.record.exclude(
                f"{number} images of {_in_words(name, severity)}, of the prepared set, cannot be read: "
                f"{listed}."
            )

    def _key(self, one: Trained, name: str, severity: int | None) -> CorruptionKey:
        make = partial(
            CorruptionKey,
            corruption=name,
            severity=severity,
            name=one.name,
            digest=one.digest,
            images=self.settings.limit,
            device=self.device.type,
        )
        if self.prepared is not None and name in self.prepared.corruptions:
            return make(data=self.prepared.identity(name))
        return make(
            data=self.data.fingerprint,
            batch_size=self.settings.batch_size,
            seed=self.settings.seed,
            definitions=DEFINITIONS,
        )

    def _build(self, one: Trained, condition: str) -> bool:
        """Build the network if it is not there yet, and return whether it is there now."""
        if one.name not in self.networks:
            with one_network(partial(self._exclude, one, condition)):
                self.networks[one.name] = one.network(self.device)
        return one.name in self.networks

    def _answer(
        self, one: Trained, images: Tensor, labels: Tensor, scores: RunningScores, condition: str
    ) -> None:
        with one_network(partial(self._exclude, one, condition)):
            with torch.inference_mode():
                logits = self.networks[one.name](one.normalise(images)).float()
            if logits.isfinite().all():
                scores.add(logits, labels)
            else:
                self._exclude(one, condition, "its answers are not finite")

    def _exclude(self, one: Trained, condition: str, why: str) -> None:
        """Exclude the network from this condition and from all that come after it."""
        self.trained.remove(one)
        self.networks.pop(one.name, None)
        self.record.exclude(f"{one.name} ({display_name(one.label)}), from {condition} on: {why}.")

    def _batches(
        self, name: str, severity: int | None, unreadable: list[str]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images (B, C, H, W) in 0..1 and labels (B,), on the device; add bad files to `unreadable`."""
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
                images = corrupt(images, name, severity, self._generator(name, severity, place))
            yield images, labels.to(self.device)

    def _chunks_of(self, name: str, severity: int | None) -> list[np.ndarray]:
        """Return the places of the images of each batch."""
        if self.prepared is not None and severity is not None and name in self.prepared.corruptions:
            return self._chunks(self.prepared.labels(name, severity))
        return self._chunks(self.data.test.labels)

    def _chunks(self, labels: np.ndarray) -> list[np.ndarray]:
        cap, size = self.settings.limit, self.settings.batch_size
        chosen = np.arange(len(labels)) if cap is None else spread(labels, cap)
        return [chosen[start : start + size] for start in range(0, len(chosen), size)]

    def _generator(self, name: str, severity: int | None, place: int) -> torch.Generator:
        words = f"{self.settings.seed} {name} {severity} {place}"
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 1
        return torch.Generator(self.device).manual_seed(seed)


def _row(key: CorruptionKey, scores: PartScores, unreadable: Sequence[str]) -> CorruptionRow:
    row = CorruptionRow(
        key=key, accuracy=scores.accuracy, loss=scores.loss, ece=scores.ece, images=scores.images
    )
    if not unreadable:
        return row
    some = tuple(unreadable[:MOST_NAMED])
    return row.model_copy(update={"unreadable": len(unreadable), "unreadable_some": some})


def _in_words(name: str, severity: int | None) -> str:
    return f"{name} images" if severity is None else f"{name}, severity {severity}"
