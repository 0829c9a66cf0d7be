"""Load batches from a store, in an order that depends only on seed and epoch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from foveate.data.order import EpochOrder
from foveate.data.store import ImageStore, MemoryStore
from foveate.errors import RequestError

__all__ = ["BatchLoader", "Loader", "ResidentLoader", "Selection", "make_loader"]

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


class _Resumable:
    """Batches of which an epoch can begin at any step; Lightning's checkpoints keep that step."""

    sampler: Any
    batch_size: int | None
    _step = 0

    def __len__(self) -> int:
        raise NotImplementedError

    def start_at(self, step: int) -> None:
        """Begin the next epoch at its batch number `step` (from 0); the images before it are not read.

        The epochs after that are whole, and `len` is always that of a whole epoch.

        Raises:
            ValueError: an epoch has fewer batches.
        """
        if not 0 <= step <= len(self):
            raise ValueError(f"an epoch has {len(self)} batches: expected a step from 0 to that, got {step}")
        assert self.batch_size is not None
        self._step, self.sampler.skipped = step, step * self.batch_size

    def state_dict(self) -> dict[str, int]:
        """Return the step at which the epoch goes on, 0 after its last batch, as Lightning asks for it."""
        return {"step": self._step % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch at the step that `state_dict` returned."""
        self.start_at(state["step"])

    def _counted(self, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Yield the batches of the epoch that `begin` begins, and count them.

        A step counts from when its batch is given: Lightning takes the next batch after its checkpoint.
        """
        assert self.batch_size is not None
        self._step = self.sampler.skipped // self.batch_size
        for batch in begin():
            self._step += 1
            yield batch


class BatchLoader(_Resumable, DataLoader[Batch]):
    """A DataLoader of a `Selection` that raises, in this process, the error that a worker returned."""

    def __len__(self) -> int:
        return DataLoader.__len__(self)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in self._counted(partial(DataLoader.__iter__, self)):
            if isinstance(batch, RequestError):
                raise batch
            yield batch


class ResidentLoader(_Resumable):
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

    batch_size: int
    batch_sampler = None  # Lightning reads this name and `sampler` of every loader

    def __init__(
        self,
        store: MemoryStore,
        indices: np.ndarray,
        batch_size: int,
        sampler: EpochOrder | None,
        drop_last: bool,
        device: torch.device,
    ) -> None:
        self.store, self.indices, self.batch_size = store, indices, batch_size
        sampler = EpochOrder(len(indices), None) if sampler is None else sampler
        self.sampler, self.drop_last, self.device = sampler, drop_last, device

    def __len__(self) -> int:
        images = len(self.sampler)
        return images // self.batch_size if self.drop_last else -(-images // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self._counted(self._batches)

    def _batches(self) -> Iterator[Batch]:
        images, labels = self.store.resident(self.device)
        index = torch.from_numpy(self.indices[self.sampler.take()]).to(self.device)
        for chunk in index.split(self.batch_size):
            if self.drop_last and len(chunk) < self.batch_size:
                return
            yield images[chunk], labels[chunk]


Loader = BatchLoader | ResidentLoader


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
    to `loader.sampler.set_epoch`. The ranks share each step's images: step k of all ranks consists of the
    images of step k of one process whose batches have `world_size` times as many. Every rank has the same
    number of steps; without `drop_last` a few images may be repeated for that at the end. Without
    `shuffle_seed` the order is that of `indices`, and rank r takes every `world_size`-th image from the r-th
    on, none repeated. Neither draws from torch's global generator.

    `loader.start_at(step)` begins the next epoch in its middle (see `EpochOrder`).

    Args:
        store: where the images are.
        indices: int64 (N,), into `store`.
        batch_size: images per batch and process.
        shuffle_seed: seed of the training order; None for evaluation.
        rank: number of this process among `world_size`.
        world_size: processes that share the images.
        drop_last: skip a last batch that is not full, with several ranks one that is not full on each.
        workers: processes that decode a streamed store; a store in memory is faster without. The batches and
            their order do not depend on their number.
        device: where the batches are used. On a CUDA device images in memory are kept whole if they take at
            most a quarter of what is free there; other batches come in page-locked memory, for a fast copy.
    """
    on_gpu = device is not None and device.type == "cuda"
    if shuffle_seed is None:
        selection = Selection(store, indices[rank::world_size])
        sampler = EpochOrder(len(selection), None)
    else:
        selection = Selection(store, indices)
        full = batch_size if drop_last else None
        ranks = {"rank": rank, "world_size": world_size}
        sampler = EpochOrder(len(selection), shuffle_seed, **ranks, multiple_of=full)
    if isinstance(store, MemoryStore) and device is not None and on_gpu and store.fits(device):
        return ResidentLoader(store, selection.indices, batch_size, sampler, drop_last, device)
    if store.in_memory:
        workers = 0
    return BatchLoader(
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
