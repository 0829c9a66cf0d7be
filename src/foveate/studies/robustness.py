"""`foveate robustness`: what trained networks keep of their accuracy on worse or attacked images."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data import Data, centre
from foveate.data.corruptions import LEAST_SIDE, corrupt
from foveate.data.prepared import PreparedCorruptions, open_prepared
from foveate.data.survey import spread
from foveate.errors import DiskError, RequestError, first_line
from foveate.evaluation.attacks import check_toolbox
from foveate.evaluation.running_scores import RunningScores
from foveate.studies.assessment import Assessment, assessment
from foveate.studies.attacking import attack_network
from foveate.studies.examine import OnProgress, Work
from foveate.studies.robustness_settings import Condition, RobustnessSettings
from foveate.studies.trained import Trained, open_images

__all__ = ["CLEAN", "RobustnessSettings", "robustness"]

CLEAN: Condition = ("clean", None)


def robustness(work: Work, settings: RobustnessSettings, source: str | None = None) -> Path:
    """Measure networks on clean and corrupted test images, then attack them; return the record's path.

    The images are those of the runs, or of `source`.

    Images are corrupted once for all networks, a batch at a time, with random numbers that seed, corruption,
    severity and the batch's place decide: every network sees the same images, and one that is measured later
    sees them too. All is computed in float32. Memory does not grow with the images, but for three numbers an
    image and network.

    A network that fails, or whose answers are not finite, is left out by name and the others go on.

    Raises:
        RequestError: the settings cannot be, the images do not fit the networks, or the prepared folder is no
            such set.
    """
    settings.check()
    if settings.attacks:
        check_toolbox()
    trained, on_progress = work.trained, work.on_progress
    data = open_images(trained, source)
    if data.image_size < LEAST_SIDE and settings.prepared is None and settings.conditions():
        raise RequestError(
            f"corruptions need images of at least {LEAST_SIDE} pixels a side, and the networks take "
            f"{data.image_size}: leave them out (--corruptions '') to attack alone"
        )
    prepared = None
    if settings.prepared is not None:
        prepared = open_prepared(settings.prepared, data.classes, data.image_size, data.channels)
    conditions = settings.conditions(prepared.corruptions if prepared else None)
    described = {
        **work.about,
        "settings": settings.described(),
        "data": {
            "name": data.name,
            "classes": list(data.classes),
            "image_size": data.image_size,
            "test": len(data.test),
            "fingerprint": data.fingerprint,
            "prepared": prepared and prepared.identity,
        },
    }
    with assessment(work.folder, "robustness", trained, described) as record:
        corrupting = _Corrupting(trained, data, settings, work.device, record, prepared)
        steps = [CLEAN, *conditions]
        for done, (name, severity) in enumerate(steps):
            if severity and prepared and name in prepared.corruptions and not prepared.has(name, severity):
                record.say(left_out=f"{name}, severity {severity}: the prepared set does not have it.")
                continue
            on_progress(name if severity is None else f"{name} {severity}", done, len(steps))
            corrupting.measure(name, severity)
        on_progress("corruptions", len(steps), len(steps))
        if settings.attacks:
            for done, one in enumerate(trained):
                tell = partial(_tell_attack, on_progress, one.label, done, len(trained))
                attack_network(one, data, settings, work.device, record, tell)
            on_progress("attacks", len(trained), len(trained))
        for sentence in prepared.left_out if prepared else ():
            record.say(left_out=sentence)
    return work.folder / "robustness.json"


class _Corrupting:
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
        todo = [one for one in self.trained if self.record.find(keys[one.name]) is None]
        todo = [one for one in todo if self._ready(one)]
        if not todo:
            return
        scores = {one.name: RunningScores() for one in todo}
        for images, labels in self._batches(name, severity):
            for one in [one for one in todo if one in self.trained]:
                self._answer(one, images, labels, scores[one.name], _words(name, severity))
        self.record.add((keys[one.name], scores[one.name].values()) for one in todo if one in self.trained)

    def _key(self, one: Trained, name: str, severity: int | None) -> dict[str, Any]:
        made = not self._is_prepared(name)
        return {
            "corruption": name,
            "severity": severity,
            "network": one.name,
            "digest": one.digest,
            "data": self.data.fingerprint if made else self.prepared and self.prepared.identity,
            "images": self.settings.images,
            **({"batch_size": self.settings.batch_size, "seed": self.settings.seed} if made else {}),
            "device": self.device.type,
        }

    def _is_prepared(self, name: str) -> bool:
        return self.prepared is not None and name in self.prepared.corruptions

    def _ready(self, one: Trained) -> bool:
        if one.name not in self.networks:
            try:
                self.networks[one.name] = one.network(self.device)
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

    def _batches(self, name: str, severity: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (B, C, H, W) in 0..1 and labels (B,), on the device."""
        if self.prepared is not None and severity is not None and self._is_prepared(name):
            for chunk in self._chunks(self.prepared.labels(name, severity)):
                images, labels = self.prepared.read(name, severity, chunk)
                yield images.to(self.device), labels.to(self.device)
            return
        store = self.data.test
        for place, chunk in enumerate(self._chunks(store.labels)):
            canvases, labels = store.__getitems__(chunk)
            images = centre(canvases.to(self.device), self.data.image_size).float() / 255
            if name != CLEAN[0]:
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


def _tell_attack(on_progress: OnProgress, label: str, done: int, total: int, what: str) -> None:
    on_progress(f"{label}: {what}", done, total)


def _words(name: str, severity: int | None) -> str:
    return f"{name} images" if severity is None else f"{name}, severity {severity}"
