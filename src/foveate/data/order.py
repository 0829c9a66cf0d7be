"""The order in which an epoch takes images, and the share of it that one of several processes takes."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

__all__ = ["EpochOrder"]


class EpochOrder(Sampler[int]):
    """The positions 0 to `images` - 1 in the order of an epoch, or a rank's share of them.

    With a seed an epoch is a permutation that depends on seed and epoch alone. Rank r takes its positions r,
    r + `world_size`, r + 2 · `world_size` and so on: the k-th batches of all ranks are together the k-th
    batch of a single process whose batches are as large as theirs together. The order of a single process is
    that of torch's DistributedSampler.

    Args:
        images: their number.
        seed: of the permutations; None takes the positions as they are.
        rank: number of this process among `world_size`.
        world_size: processes that share an epoch.
        multiple_of: each rank's share is a multiple of it, and the rest of the epoch is dropped. By default
            nothing is dropped: positions from the epoch's beginning are repeated at its end until all shares
            have the same length.

    Attributes:
        epoch: the epoch that is taken next.
        skipped: how many positions of the share the next pass does not take; then 0 again.
    """

    def __init__(
        self,
        images: int,
        seed: int | None,
        *,
        rank: int = 0,
        world_size: int = 1,
        multiple_of: int | None = None,
    ) -> None:
        self.images, self.rank, self.world_size = images, rank, world_size
        # The epoch is added to the seed, so consecutive seeds would share orders.
        self.seed = None if seed is None else int(np.random.SeedSequence([seed]).generate_state(1)[0])
        self.epoch = self.skipped = 0
        if multiple_of is None:
            self._share = -(-images // world_size)
        else:
            self._share = images // (multiple_of * world_size) * multiple_of

    def set_epoch(self, epoch: int) -> None:
        """Take this epoch next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._share

    def __iter__(self) -> Iterator[int]:
        return iter(self.take().tolist())

    def take(self) -> np.ndarray:
        """Return this rank's positions of the epoch, int64, without those to be skipped."""
        skipped, self.skipped = self.skipped, 0
        if self.seed is None:
            order = np.arange(self.images)
        else:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(self.images, generator=generator).numpy()
        total = self._share * self.world_size
        if total > len(order) > 0:
            order = np.resize(order, total)  # repeats from the beginning
        return order[self.rank : total : self.world_size][skipped:]
