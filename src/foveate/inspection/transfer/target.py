"""The target: the images that networks are transferred to, with the size and channels that these take."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, ImageStore, load_data
from foveate.data.luminance import luminance
from foveate.data.store import MemoryStore, StreamedStore
from foveate.data.survey import spread

__all__ = ["open_target"]


def open_target(
    source: str, input_size: tuple[int, int, int], images: int | None = None, **options: Any
) -> Data:
    """Load `source` for a network that takes (C, H, W): resized, enlarged if smaller, with C channels.

    A network of three channels is given grey images as three equal channels, a network of one channel is
    given the luminance of colour images. Broken images are excluded, which the notes say. Of the test part at
    most `images` are kept, spread evenly over the classes.

    Raises:
        RequestError: there are no usable images.
    """
    data = load_data(source, image_size=input_size[-1], upscale=True, skip_broken=True, **options)
    channels = input_size[0]
    notes = list(data.notes)
    if data.channels != channels:
        notes.append(
            "The images are grey and the network takes three channels: each is given three times."
            if channels > data.channels
            else "The images have colour and the network takes one channel: it is given their luminance."
        )
    kept = np.arange(len(data.test)) if images is None else spread(data.test.labels, images)
    if len(kept) < len(data.test):
        notes.append(f"{len(kept):,} of the {len(data.test):,} test images were looked at.")
    return replace(
        data,
        channels=channels,
        notes=tuple(notes),
        train=_adapt(data.train, channels),
        test=_adapt(data.test, channels, kept),
        validation=None if data.validation is None else _adapt(data.validation, channels),
    )


def _adapt(store: ImageStore, channels: int, indices: np.ndarray | None = None) -> ImageStore:
    """Return a store of the same images, or of those at `indices`, with this number of channels."""
    indices = np.arange(len(store)) if indices is None else indices
    if isinstance(store, StreamedStore):
        return StreamedStore(store.part.take(indices), replace(store.layout, channels=channels))
    assert isinstance(store, MemoryStore)
    whole = len(indices) == len(store)
    images = store.images if whole else store.images[torch.from_numpy(indices)]
    recoloured = images if images.shape[1] == channels else _recoloured(images, channels)
    return MemoryStore(recoloured, store.labels[indices])


def _recoloured(images: Tensor, channels: int) -> Tensor:
    """Return uint8 images (N, C, S, S) with this number of channels."""
    return images.expand(-1, channels, -1, -1) if images.shape[1] == 1 else luminance(images)
