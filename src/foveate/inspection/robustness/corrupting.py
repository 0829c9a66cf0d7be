"""Trained networks on corrupted images, which are made once for all of them, or read from a prepared set."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from foveate.data import Data
from foveate.data.corruptions import DEFINITIONS
from foveate.data.prepared import PreparedCorruptions
from foveate.inspection.assessment import Assessment
from foveate.inspection.robustness.failures import one_network
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.records.labels import display_name
from foveate.records.robustness import ConditionRow, CorruptionKey, CorruptionRow, RobustnessRow
from foveate.tasks.task import Batch

__all__ = ["ConditionImages", "Corrupting", "Scoring", "generator_of"]

MOST_NAMED = 3
"""At most this many of the images that cannot be read are named."""


class Scoring(Protocol):
    """The scores of one network under one condition, added up batch by batch."""

    def add(self, network: nn.Module, images: Any, targets: Any) -> bool:
        """Add the answers to a batch; return False instead where they are not finite."""

    def row(self, key: CorruptionKey) -> ConditionRow:
        """Return the scores of all images that were added."""


class ConditionImages(Protocol):
    """The images of each condition, as the networks of a task are given them."""

    def count_batches(self, name: str, severity: int | None) -> int:
        """Return the number of batches of a condition."""

    def batches(self, name: str, severity: int | None, unreadable: list[str]) -> Iterator[Batch]:
        """Give images and targets on the device; add files that cannot be read to `unreadable`."""

    def scoring(self, one: Trained) -> Scoring:
        """Return new, empty scores of a network."""


class Corrupting:
    """The networks, each built when it is first needed, and the images that all of them are given."""

    def __init__(
        self,
        trained: Sequence[Trained],
        data: Data,
        images: ConditionImages,
        settings: RobustnessSettings,
        device: torch.device,
        record: Assessment[RobustnessRow],
        prepared: PreparedCorruptions | None,
    ) -> None:
        self.trained, self.data, self.settings, self.device = list(trained), data, settings, device
        self.images, self.record, self.prepared = images, record, prepared
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
            if row is None and self._build(one, _in_words(name, severity)):
                todo.append(one)
        if not todo:
            return
        scoring = {one.name: self.images.scoring(one) for one in todo}
        unreadable: list[str] = []
        batches = self.images.count_batches(name, severity)
        for done, (images, targets) in enumerate(self.images.batches(name, severity, unreadable)):
            on_share(done / batches)
            for one in [one for one in todo if one in self.trained]:
                self._answer(one, images, targets, scoring[one.name], _in_words(name, severity))
        self._exclude_unreadable(name, severity, len(unreadable), unreadable[:MOST_NAMED])
        self.record.add(
            _with_unreadable(scoring[one.name].row(keys[one.name]), unreadable)
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

    def _answer(self, one: Trained, images: Any, targets: Any, scoring: Scoring, condition: str) -> None:
        with one_network(partial(self._exclude, one, condition)):
            with torch.inference_mode():
                is_finite = scoring.add(self.networks[one.name], images, targets)
            if not is_finite:
                self._exclude(one, condition, "its answers are not finite")

    def _exclude(self, one: Trained, condition: str, why: str) -> None:
        """Exclude the network from this condition and from all that come after it."""
        self.trained.remove(one)
        self.networks.pop(one.name, None)
        self.record.exclude(f"{one.name} ({display_name(one.label)}), from {condition} on: {why}.")


def generator_of(
    seed: int, name: str, severity: int | None, place: int, device: torch.device
) -> torch.Generator:
    """Return the random numbers of a condition for the batch, or the image, at a position."""
    words = f"{seed} {name} {severity} {place}"
    number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 1
    return torch.Generator(device).manual_seed(number)


def _with_unreadable(row: ConditionRow, unreadable: Sequence[str]) -> ConditionRow:
    if not unreadable:
        return row
    some = tuple(unreadable[:MOST_NAMED])
    return row.model_copy(update={"unreadable": len(unreadable), "unreadable_some": some})


def _in_words(name: str, severity: int | None) -> str:
    return f"{name} images" if severity is None else f"{name}, severity {severity}"
