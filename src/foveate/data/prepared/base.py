"""The interface of prepared sets, and the array files that they are read from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from foveate.data.greys import GreyRange

__all__ = ["LABELS", "STRENGTHS", "PreparedCorruptions"]

STRENGTHS = 5
"""Number of severities."""
LABELS = "labels.npy"


class PreparedCorruptions(ABC):
    """Corrupted images with labels, by corruption and severity; images are given as the networks take them.

    Attributes:
        corruptions: the names of the corruptions, sorted.
        exclusions: sentences on what was excluded; images that cannot be decoded are reported by `read`.
        assumed: a sentence on the order in which classes were numbered, if nothing in the set says it.
    """

    corruptions: tuple[str, ...]
    exclusions: tuple[str, ...] = ()
    assumed: str | None = None

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        image_size: int,
        channels: int,
        naming: Path | None = None,
        greys: GreyRange | None = None,
    ) -> None:
        self.folder, self.image_size, self.channels, self.greys = folder, image_size, channels, greys
        self._identities: dict[str, str] = {}
        self._open(classes, naming)

    def identity(self, corruption: str) -> str:
        """Return a hash of everything that determines images and labels of this corruption."""
        if corruption not in self._identities:
            self._identities[corruption] = self._hash(corruption)
        return self._identities[corruption]

    @abstractmethod
    def _open(self, classes: Sequence[str], naming: Path | None) -> None:
        """Find and check the images, number their classes, and set the attributes."""

    @abstractmethod
    def _hash(self, corruption: str) -> str:
        """Compute `identity`."""

    @abstractmethod
    def has(self, corruption: str, severity: int) -> bool:
        """Return whether the set has this corruption in this severity."""

    @abstractmethod
    def labels(self, corruption: str, severity: int) -> np.ndarray:
        """Return the labels of its images, int64 (N,)."""

    @abstractmethod
    def read(self, corruption: str, severity: int, indices: np.ndarray) -> tuple[Tensor, Tensor, list[str]]:
        """Return images, float (B, C, H, W) in 0..1, labels, int64 (B,), and errors of undecodable files."""
