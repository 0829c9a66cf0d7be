import pickle
import time
from itertools import chain

import numpy as np
import pytest
import torch

from foveate.data.dataset import load_data
from foveate.data.loading import make_loader
from foveate.data.store import MemoryStore
from foveate.errors import RequestError

INDICES = np.arange(100, 200)


@pytest.fixture
def store():
    return MemoryStore(torch.arange(200, dtype=torch.uint8).view(200, 1, 1, 1), np.arange(200))


def order(loader):
    batches = [labels.tolist() for _, labels in loader]
    return batches, [label for batch in batches for label in batch]


def test_batches_are_whole_and_match_their_labels(store):
    loader = make_loader(store, INDICES, 32, shuffle_seed=1)
    sizes = []
    for images, labels in loader:
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert torch.equal(images.flatten().long(), labels)
        sizes.append(len(labels))
    assert sizes == [32, 32, 32, 4]
    assert len(make_loader(store, INDICES, 32, shuffle_seed=1, drop_last=True)) == 3


def test_order_depends_on_seed_and_epoch_alone(store):
    def epoch(seed, number):
        loader = make_loader(store, INDICES, 32, shuffle_seed=seed)
        loader.sampler.set_epoch(number)
        return order(loader)[1]

    torch.manual_seed(1)
    first = epoch(0, 3)
    torch.manual_seed(2)
    assert first == epoch(0, 3)
    assert sorted(first) == INDICES.tolist()
    assert first != epoch(0, 4)
    assert first != epoch(1, 3)


def test_the_global_generator_is_not_drawn_from(store):
    before = torch.get_rng_state()
    order(make_loader(store, INDICES, 32, shuffle_seed=0))
    order(make_loader(store, INDICES, 32, shuffle_seed=None))
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_is_sequential_and_never_padded(store):
    assert order(make_loader(store, INDICES, 32, shuffle_seed=None))[1] == INDICES.tolist()
    ranks = [
        order(make_loader(store, INDICES, 32, shuffle_seed=None, rank=r, world_size=3))[1] for r in range(3)
    ]
    assert [len(rank) for rank in ranks] == [34, 33, 33]
    assert ranks[1] == INDICES[1::3].tolist()
    assert sorted(chain(*ranks)) == INDICES.tolist()


def test_ranks_train_on_different_images(store):
    ranks = [order(make_loader(store, INDICES, 8, shuffle_seed=0, rank=r, world_size=3))[1] for r in range(3)]
    assert [len(rank) for rank in ranks] == [34] * 3
    assert set(chain(*ranks)) == set(INDICES.tolist())


def test_a_batch_in_memory_costs_no_python_per_image():
    store = MemoryStore(torch.zeros((10_000, 3, 32, 32), dtype=torch.uint8), np.zeros(10_000, np.int64))
    loader = make_loader(store, np.arange(10_000), 128, shuffle_seed=0)

    def seconds(run):
        started = time.process_time()
        run()
        return time.process_time() - started

    batches = torch.randperm(10_000, generator=torch.Generator().manual_seed(0)).split(128)
    indexing = min(seconds(lambda: [store.images[batch] for batch in batches]) for _ in range(3))
    loading = min(seconds(lambda: list(loader)) for _ in range(3))
    assert (loading - indexing) / len(batches) < 1e-3


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.full)])
def test_streamed_equals_memory_through_workers(folder, method):
    root = folder({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2}, size=(20, 16))
    kept, streamed = load_data(str(root)), load_data(str(root), memory_limit=0)
    loader = make_loader(streamed.train, np.arange(12), 5, shuffle_seed=3, workers=1)
    loader.multiprocessing_context = method
    expected = make_loader(kept.train, np.arange(12), 5, shuffle_seed=3, workers=1)
    assert expected.num_workers == 0
    for (images, labels), (images_kept, labels_kept) in zip(loader, expected, strict=True):
        assert torch.equal(images, images_kept)
        assert torch.equal(labels, labels_kept)


def test_a_streamed_set_reaches_workers_that_are_not_forked(folder):
    """They get it as a pickle."""
    streamed = load_data(str(folder({"train/a": 6, "train/b": 6}, size=(20, 16))), memory_limit=0).train
    sent = pickle.loads(pickle.dumps(streamed))
    for part, other in zip(sent.__getitems__([3, 0, 7]), streamed.__getitems__([3, 0, 7]), strict=True):
        assert torch.equal(part, other)


def test_a_broken_image_in_a_worker_is_a_wrong_request(folder):
    root = folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    data = load_data(str(root), memory_limit=0)
    (root / "train/b/1.png").write_bytes(b"nothing")
    loader = make_loader(data.train, np.arange(6), 6, shuffle_seed=None, workers=1)
    with pytest.raises(RequestError, match=r"b/1\.png: it was changed after the set was opened"):
        list(loader)


def test_seeds_next_to_each_other_share_no_order():
    store = MemoryStore(torch.zeros(64, 1, 2, 2, dtype=torch.uint8), np.arange(64))

    def order(seed, epoch):
        loader = make_loader(store, np.arange(64), 64, shuffle_seed=seed)
        loader.sampler.set_epoch(epoch)
        return tuple(next(iter(loader))[1].tolist())

    assert len({order(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9
