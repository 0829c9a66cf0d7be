"""Batches from a store, whole, in an order that only seed and epoch decide."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from foveate.data.store import ImageStore, MemoryStore

__all__ = ["Selection", "make_loader"]


class Selection(Dataset[tuple[Tensor, Tensor]]):
    """Some images of a store, by position; a DataLoader fetches a whole batch in one call."""

    def __init__(self, store: ImageStore, indices: np.ndarray) -> None:
        self.store, self.indices = store, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images, uint8 (B, C, S, S), and labels, int64 (B,)."""
        return self.store.__getitems__(self.indices[positions])


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
    pin_memory: bool = False,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Load the images of `indices` in batches.

    With `shuffle_seed` the order of an epoch depends on that seed and on the epoch given to
    `loader.sampler.set_epoch` alone (Lightning calls it), and every rank gets equally many images, for which
    a few may come twice. Without it the order is that of `indices` and rank r takes every `world_size`-th
    image from the r-th on, none twice. Neither draws from torch's global generator.

    Args:
        store: where the images are.
        indices: int64 (N,), into `store`.
        batch_size: images a batch and process.
        shuffle_seed: seed of the training order; None for evaluation.
        rank: number of this process among `world_size`.
        world_size: processes that share the images.
        drop_last: leave out a last batch that is not full.
        workers: processes that decode; used for streamed stores alone, memory is faster without.
        pin_memory: put batches into page-locked memory, for a fast copy to a GPU.
    """
    if shuffle_seed is None:
        selection = Selection(store, indices[rank::world_size])
        sampler: DistributedSampler[tuple[Tensor, Tensor]] | None = None
    else:
        selection = Selection(store, indices)
        # The sampler adds the epoch to its seed: seeds next to each other would share their orders.
        far = int(np.random.SeedSequence([shuffle_seed]).generate_state(1)[0])
        sampler = DistributedSampler(selection, world_size, rank, shuffle=True, seed=far)
    if isinstance(store, MemoryStore):
        workers = 0
    return DataLoader(
        selection,
        batch_size,
        sampler=sampler,
        drop_last=drop_last,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_whole,
        pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(0),  # else each epoch draws from the global one
    )
