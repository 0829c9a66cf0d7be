import numpy as np
import pytest
from torch.utils.data import DistributedSampler

from foveate.data.order import EpochOrder


@pytest.mark.parametrize("images", [1, 7, 100, 103])
@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_the_order_is_that_of_torchs_sampler(images, world_size):
    """Studies of before were trained in that order, with a seed spread over 32 bits."""
    far = int(np.random.SeedSequence([5]).generate_state(1)[0])
    for rank in range(world_size):
        torchs = DistributedSampler(range(images), world_size, rank, shuffle=True, seed=far)
        own = EpochOrder(images, 5, rank=rank, world_size=world_size)
        for epoch in (0, 3):
            torchs.set_epoch(epoch)
            own.set_epoch(epoch)
            assert list(own) == list(torchs)
            assert len(own) == len(torchs)


@pytest.mark.parametrize(
    ("images", "batch", "world_size"), [(103, 8, 4), (99, 100, 4), (100, 20, 5), (7, 2, 2)]
)
def test_a_step_of_all_ranks_has_the_images_of_a_step_of_one_process(images, batch, world_size):
    each = batch // world_size
    one = list(EpochOrder(images, 3, multiple_of=batch))
    ranks = [
        list(EpochOrder(images, 3, rank=rank, world_size=world_size, multiple_of=each))
        for rank in range(world_size)
    ]
    assert {len(rank) for rank in ranks} == {images // batch * each}
    for step in range(images // batch):
        together = [image for rank in ranks for image in rank[step * each : (step + 1) * each]]
        assert sorted(together) == sorted(one[step * batch : (step + 1) * batch])
    assert len(one) == images // batch * batch


def test_positions_are_skipped_once():
    order = EpochOrder(10, 0, rank=1, world_size=2)
    whole = list(order)
    order.skipped = 3
    assert list(order) == whole[3:]
    assert list(order) == whole


def test_without_a_seed_positions_are_taken_as_they_are():
    order = EpochOrder(5, None)
    order.set_epoch(4)
    assert list(order) == [0, 1, 2, 3, 4]
    assert list(EpochOrder(0, None)) == []
