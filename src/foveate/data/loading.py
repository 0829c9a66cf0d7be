"""Load batches from a store, in an order that depends only on seed and epoch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from foveate.data.store import ImageStore, MemoryStore
from foveate.errors import RequestError

__all__ = ["Loader", "ResidentLoader", "Selection", "make_loader"]

Batch = tuple[Any, Any]
"""Images, uint8 (B, C, S, S), and labels, int64 (B,); with boxes or masks both are lists."""


class Selection(Dataset[Batch]):
    """Some images of a store, by position; a DataLoader fetches a whole batch in one call.

    An image that cannot be read is returned as its error: a DataLoader would turn an error that a worker
    raises into the text of a traceback.
    """

    def __init__(self, store: ImageStore, indices: np.ndarray) -> None:
        self.store, self.indices = store, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, positions: Sequence[int]) -> Batch | RequestError:
        """Return the batch that the store gives, or the error of an image."""
        try:
            return self.store.__getitems__(self.indices[positions])
        except RequestError as error:
            return error


class _BatchLoader(DataLoader[Batch]):
    """A DataLoader of a `Selection` that raises, in this process, the error that a worker returned."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, RequestError):
                raise batch
            yield batch


class ResidentLoader:
    """The batches of a DataLoader, taken from images that are already on the training device.

    The order of an epoch is copied to the device once, at its start; after that a batch is two index
    operations there, and the CPU never waits for the device.

    Args:
        store: the images in memory.
        indices: int64 (N,), into `store`.
        batch_size: images per batch.
        sampler: the order of each epoch, as positions in `indices`; None is the order of `indices`.
        drop_last: skip a last batch that is not full.
        device: where the images are kept and the batches are made.
    """

    batch_sampler = None  # Lightning reads this name and `sampler` of every loader

    def __init__(
        self,
        store: MemoryStore,
        indices: np.ndarray,
        batch_size: int,
        sampler: DistributedSampler[Batch] | None,
        drop_last: bool,
        device: torch.device,
    ) -> None:
        self.store, self.indices, self.batch_size = store, indices, batch_size
        self.sampler, self.drop_last, self.device = sampler, drop_last, device

    def __len__(self) -> int:
        images = len(self.indices if self.sampler is None else self.sampler)
        return images // self.batch_size if self.drop_last else -(-images // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        images, labels = self.store.resident(self.device)
        order = self.indices if self.sampler is None else self.indices[list(self.sampler)]
        index = torch.from_numpy(order).to(self.device)
        for chunk in index.split(self.batch_size)[: len(self)]:
            yield images[chunk], labels[chunk]


Loader = DataLoader[Batch] | ResidentLoader


def _whole(batch: Any) -> Any:
    return batch


def make_loader(
    store: ImageStore,
    indices: np.ndarray,
    batch_size: int,
    *,
    shuffle_seed: int | None,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
    workers: int = 0,
    device: torch.device | None = None,
) -> Loader:
    """Load the images of `indices` in batches.

    With `shuffle_seed` the order of an epoch depends only on that seed and the epoch, which Lightning gives
    to `loader.sampler.set_epoch`, and every rank gets the same number of images: a few may be repeated, or
    with `drop_last` skipped. Then batch k of all ranks together is batch k of one process whose batches are
    as large as theirs together. Without `shuffle_seed` the order is that of `indices`, and rank r takes every
    `world_size`-th image from the r-th on, none repeated. Neither draws from torch's global generator.

    Args:
        store: where the images are.
        indices: int64 (N,), into `store`.
        batch_size: images per batch and process.
        shuffle_seed: seed of the training order; None for evaluation.
        rank: number of this process among `world_size`.
        world_size: processes that share the images.
        drop_last: skip a last batch that is not full.
        workers: processes that decode a streamed store; a store in memory is faster without.
        device: where the batches are used. On a CUDA device images in memory are kept whole if they take at
            most a quarter of what is free there; other batches come in page-locked memory, for a fast copy.
    """
    on_gpu = device is not None and device.type == "cuda"
    if shuffle_seed is None:
        selection = Selection(store, indices[rank::world_size])
        sampler: DistributedSampler[Batch] | None = None
    else:
        selection = Selection(store, indices)
        # The sampler adds the epoch to its seed, so consecutive seeds would share orders.
        far = int(np.random.SeedSequence([shuffle_seed]).generate_state(1)[0])
        sampler = DistributedSampler(selection, world_size, rank, shuffle=True, seed=far, drop_last=drop_last)
    if isinstance(store, MemoryStore) and device is not None and on_gpu and store.fits(device):
        return ResidentLoader(store, selection.indices, batch_size, sampler, drop_last, device)
    if store.in_memory:
        workers = 0
    return _BatchLoader(
        selection,
        batch_size,
        sampler=sampler,
        drop_last=drop_last,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_whole,
        pin_memory=on_gpu,
        generator=torch.Generator().manual_seed(0),  # otherwise each epoch draws from the global one
    )
