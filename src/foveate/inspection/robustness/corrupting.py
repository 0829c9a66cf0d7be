"""Trained networks on corrupted images: made once for all of them, or read from a prepared set."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data import Data, seen
from foveate.data.corruptions import DEFINITIONS, corrupt
from foveate.data.prepared import CLEAN, PreparedCorruptions
from foveate.data.survey import spread
from foveate.errors import DiskError, first_line
from foveate.evaluation.running_scores import RunningScores
from foveate.inspection.assessment import Assessment
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained

__all__ = ["Corrupting"]

SHOWN = 3
"""Of the images that cannot be read so many are named."""


class Corrupting:
    """The networks, built once they are needed, and the images that all of them see."""

    def __init__(
        self,
        trained: Sequence[Trained],
        data: Data,
        settings: RobustnessSettings,
        device: torch.device,
        record: Assessment,
        prepared: PreparedCorruptions | None,
    ) -> None:
        self.trained, self.data, self.settings, self.device = list(trained), data, settings, device
        self.record, self.prepared = record, prepared
        self.networks: dict[str, nn.Module] = {}

    def measure(self, name: str, severity: int | None) -> None:
        """Measure the networks that have no row of this condition yet."""
        keys = {one.name: self._key(one, name, severity) for one in self.trained}
        rows = {one.name: self.record.find(keys[one.name]) for one in self.trained}
        for row in rows.values():
            self._say_unreadable(name, severity, row or {})
        todo = [one for one in [*self.trained] if rows[one.name] is None and self._ready(one)]
        if not todo:
            return
        scores = {one.name: RunningScores() for one in todo}
        unreadable: list[str] = []
        for images, labels in self._batches(name, severity, unreadable):
            for one in [one for one in todo if one in self.trained]:
                self._answer(one, images, labels, scores[one.name], _words(name, severity))
        told = {"unreadable": len(unreadable), "unreadable_some": unreadable[:SHOWN]} if unreadable else {}
        self._say_unreadable(name, severity, told)
        self.record.add(
            (keys[one.name], scores[one.name].values() | told) for one in todo if one in self.trained
        )

    def _say_unreadable(self, name: str, severity: int | None, row: Mapping[str, Any]) -> None:
        """Said from the row, so that it is said again where the images are not read again."""
        if number := row.get("unreadable"):
            some = "; ".join(row["unreadable_some"]) + "; …" * (number > SHOWN)
            self.record.say(
                left_out=f"{number} images of {_words(name, severity)}, of the prepared set, cannot be read: "
                f"{some}."
            )

    def _key(self, one: Trained, name: str, severity: int | None) -> dict[str, Any]:
        made = not self._is_prepared(name)
        return {
            "corruption": name,
            "severity": severity,
            "network": one.name,
            "digest": one.digest,
            "data": self.data.fingerprint if made else self.prepared and self.prepared.identity(name),
            "images": self.settings.images,
            **(self._random() if made else {}),
            "device": self.device.type,
        }

    def _random(self) -> dict[str, int]:
        """What decides how images are made here."""
        settings = self.settings
        return {"batch_size": settings.batch_size, "seed": settings.seed, "definitions": DEFINITIONS}

    def _is_prepared(self, name: str) -> bool:
        return self.prepared is not None and name in self.prepared.corruptions

    def _ready(self, one: Trained) -> bool:
        if one.name not in self.networks:
            try:
                self.networks[one.name] = one.network(self.device)
            except (DiskError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # one network's mishap is not the others'
                self._leave_out(one, f"it could not be built: {type(error).__name__}: {first_line(error)}")
                return False
        return True

    def _answer(
        self, one: Trained, images: Tensor, labels: Tensor, scores: RunningScores, where: str
    ) -> None:
        try:
            with torch.inference_mode():
                logits = self.networks[one.name](one.normalise(images)).float()
            if not logits.isfinite().all():
                self._leave_out(one, f"its answers on {where} are not finite")
                return
            scores.add(logits, labels)
        except (DiskError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # one network's mishap is not the others'
            self._leave_out(one, f"{type(error).__name__} on {where}: {first_line(error)}")

    def _leave_out(self, one: Trained, why: str) -> None:
        self.trained.remove(one)
        self.networks.pop(one.name, None)
        self.record.say(left_out=f"{one.name} ({one.label}), from there on: {why}.")

    def _batches(
        self, name: str, severity: int | None, unreadable: list[str]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (B, C, H, W) in 0..1 and labels (B,), on the device; `unreadable` takes bad files."""
        if self.prepared is not None and severity is not None and self._is_prepared(name):
            for chunk in self._chunks(self.prepared.labels(name, severity)):
                images, labels, bad = self.prepared.read(name, severity, chunk)
                unreadable += bad
                if len(labels):
                    yield images.to(self.device), labels.to(self.device)
            return
        store = self.data.test
        for place, chunk in enumerate(self._chunks(store.labels)):
            canvases, labels = store.__getitems__(chunk)
            images = seen(canvases.to(self.device), self.data.image_size)
            if name != CLEAN:
                images = corrupt(images, name, severity, self._generator(name, severity, place))
            yield images, labels.to(self.device)

    def _chunks(self, labels: np.ndarray) -> list[np.ndarray]:
        cap, size = self.settings.images, self.settings.batch_size
        chosen = np.arange(len(labels)) if cap is None else spread(labels, cap)
        return [chosen[start : start + size] for start in range(0, len(chosen), size)]

    def _generator(self, name: str, severity: int | None, place: int) -> torch.Generator:
        words = f"{self.settings.seed} {name} {severity} {place}"
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 1
        return torch.Generator(self.device).manual_seed(seed)


def _words(name: str, severity: int | None) -> str:
    return f"{name} images" if severity is None else f"{name}, severity {severity}"
