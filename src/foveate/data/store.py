"""Stores that give decoded images a batch at a time, from memory or from the files."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data.images import UnreadableImageError, broken_images, decode, place
from foveate.data.layout import Layout, check_sizes
from foveate.data.parts import Part

__all__ = ["ImageStore", "MemoryStore", "StreamedStore"]


class ImageStore(ABC):
    """Images with labels, int64 (N,), fetched by lists of indices as a DataLoader does."""

    labels: np.ndarray
    in_memory = False
    """Whether the images are decoded already."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> tuple[Any, Any]:
        """Return the images, uint8 (B, C, S, S), and labels, int64 (B,), of these indices."""


class MemoryStore(ImageStore):
    """Images decoded once and kept, uint8 (N, C, S, S).

    They are in the memory of this process, or `is_mapped` in a file that several processes map (see
    `foveate.data.shared`).
    """

    in_memory = True

    def __init__(self, images: Tensor, labels: np.ndarray, *, is_mapped: bool = False) -> None:
        self.images, self.labels, self.is_mapped = images, labels, is_mapped
        self._labels = torch.from_numpy(labels)
        self._copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the images, uint8 (B, C, S, S), and labels, int64 (B,), of these indices."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        return self.images[index], self._labels[index]

    def resident(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return all images, uint8 (N, C, S, S), and labels, int64 (N,), on `device`, copied once."""
        if device not in self._copies:
            self._copies[device] = self.images.to(device), self._labels.to(device)
        return self._copies[device]

    def fits(self, device: torch.device) -> bool:
        """Return whether all images are on this CUDA device, or take at most a quarter of its free memory."""
        return device in self._copies or self.images.nbytes <= torch.cuda.mem_get_info(device)[0] // 4


class StreamedStore(ImageStore):
    """Images decoded on demand; picklable, for the worker processes of a DataLoader."""

    def __init__(self, part: Part, layout: Layout) -> None:
        self.part, self.layout, self.labels = part, layout, part.labels

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the images, uint8 (B, C, S, S), and labels, int64 (B,), of these indices.

        Raises:
            RequestError: an image is broken, or smaller than the crop.
        """
        channels, side = self.layout.channels, self.layout.canvas
        images = np.empty((len(indices), channels, side, side), np.uint8)
        for k, index in enumerate(map(int, indices)):
            try:
                pixels, header = decode(self.part[index], self.layout.greys)
            except UnreadableImageError as error:
                raise broken_images([(self.part.where(index), error)]) from error
            check_sizes([header], [(self.part, index)], self.layout)
            images[k] = place(pixels, channels, side)
        return torch.from_numpy(images), torch.from_numpy(self.labels[np.asarray(indices)])
