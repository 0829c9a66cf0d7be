"""The interface of a task with known objects: which object of an image is explained, and how it is drawn."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from foveate.data.dense.store import DenseStore
from foveate.inspection.explain.built import BuiltNetwork

__all__ = ["Finding", "KnownObject", "ObjectTask", "Seen", "scaled"]


@dataclass(frozen=True, eq=False)
class KnownObject:
    """What one image is explained by, the same for all networks.

    Attributes:
        label: index of its class.
        inside: which pixels are the object, bool (H, W).
        target: the annotation of the image, as the store gives it.
        box: of the object, x0, y0, x1, y1 in pixels, float32 (4,); None where it is a mask.
    """

    label: int
    inside: Tensor
    target: Any
    box: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """What one network makes of a known object.

    Attributes:
        map: (H, W) in 0..1, of the image's size; 0 where the network does not find the object.
        found: whether it finds the object.
        score: how well, in 0..1, as the task writes it below a picture; None where it does not.
        answer: all that the network answers for the image, as the task draws it.
    """

    map: Tensor
    found: bool
    score: float | None
    answer: Any


class Seen(NamedTuple):
    """An image as a network gets it: its input (1, C, h, w), and the same as a picture in 0..1 (C, h, w)."""

    prepared: Tensor
    picture: Tensor


class ObjectTask(Protocol):
    """What `foveate explain` needs to know of a task with objects at known places.

    Attributes:
        name: of the task.
        method: of the maps, by default.
        rows: the names of the two rows of an image in the grid.
        drawn: what is drawn of the answers, in words.
    """

    name: str
    method: str
    rows: tuple[str, str]
    drawn: str

    def labels(self, store: DenseStore, classes: int) -> np.ndarray:
        """Return the class of the object that is explained in each image, int64 (N,); -1 without one."""

    def known(self, image: Tensor, target: Any, label: int) -> KnownObject:
        """Return the object of class `label` that is explained in `image` (C, H, W)."""

    def padded(self, image: Tensor) -> Tensor:
        """Return `image` (C, H, W) as a batch (1, C, h, w) of a size that networks take."""

    def seen(self, built: BuiltNetwork, image: Tensor) -> Seen:
        """Return `image` (C, H, W) in 0..1 as the network gets it."""

    def explain(self, built: BuiltNetwork, image: Tensor, known: KnownObject, method: str) -> Finding:
        """Return the map of a known object in `image` (C, H, W) in 0..1."""

    def draw_truth(self, picture: np.ndarray, known: KnownObject) -> np.ndarray:
        """Draw what is annotated into a picture, uint8 (h, w, 3)."""

    def draw_answer(self, picture: np.ndarray, known: KnownObject, finding: Finding) -> np.ndarray:
        """Draw what a network answers into a picture, uint8 (h, w, 3)."""

    def say(self, finding: Finding) -> str:
        """Write how well the network finds the object."""


def scaled(map_: Tensor) -> Tensor:
    """Return a map (H, W) with a maximum of 1; one of 0 stays 0."""
    highest = map_.max()
    return map_ / highest if highest > 0 else torch.zeros_like(map_)
