"""Sets that are decoded on demand, by several ranks with several worker processes each."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data.dataset import load_data
from foveate.data.loading import make_loader
from foveate.data.store import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on few cores

IMAGES = 46
"""Of the training part; each has a colour of its own, by which it is known in a batch."""


@pytest.fixture
def numbered(tmp_path):
    """A folder of images that are their numbers: training image k is of the grey k."""
    for k in range(IMAGES + 4):
        part = "train" if k < IMAGES else "test"
        path = tmp_path / "set" / part / "ab"[k % 2] / f"{k:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), k).save(path)
    return tmp_path / "set"


@pytest.fixture
def shards(numbered, cache, tmp_path):
    """The same images in parquet files, three of them for the training part."""
    from datasets import Dataset, Features, Value
    from datasets import Image as Picture

    features = Features({"image": Picture(), "label": Value("int64")})
    for part, count in (("train", 3), ("test", 1)):
        files = sorted(numbered.glob(f"{part}/*/*.png"))
        rows = [
            {"image": {"bytes": file.read_bytes(), "path": None}, "label": int(file.parent.name == "b")}
            for file in files
        ]
        for k in range(count):
            name = tmp_path / "shards" / f"{part}-{k:05}-of-{count:05}.parquet"
            name.parent.mkdir(exist_ok=True)
            Dataset.from_list(rows[k::count], features=features).to_parquet(name)
    return tmp_path / "shards"


def batches_of(loader):
    """The numbers of the images in each batch of an epoch."""
    return [images[:, 0, 0, 0].tolist() for images, _ in loader]


def loader_of(store, rank=0, world_size=1, *, each, seed=7, drop_last=False, workers=3):
    indices = np.arange(len(store))
    ranks = {"rank": rank, "world_size": world_size}
    return make_loader(store, indices, each, shuffle_seed=seed, **ranks, drop_last=drop_last, workers=workers)


@pytest.mark.parametrize("kind", ["numbered", "shards"])
def test_each_image_is_seen_once_an_epoch_over_workers_ranks_and_epochs(kind, request):
    """3 workers of each of 2 ranks, over 2 epochs, and the first rank stopped in the second and resumed."""
    store = load_data(str(request.getfixturevalue(kind)), memory_limit=0).train
    assert not store.in_memory
    loaders = [loader_of(store, rank, 2, each=4) for rank in range(2)]
    assert [loader.num_workers for loader in loaders] == [3, 3]
    orders = []
    for epoch in range(2):
        ranks = []
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
            ranks.append(batches_of(loader))
        seen = Counter(chain(*chain(*ranks)))
        assert seen == dict.fromkeys(range(IMAGES), 1)
        assert [len(batch) for batch in ranks[0]] == [len(batch) for batch in ranks[1]] == [4] * 5 + [3]
        orders.append(ranks)
    assert orders[0] != orders[1]
    assert list(chain(*chain(*orders[0]))) != list(range(IMAGES))
    again = loader_of(store, 0, 2, each=4, workers=1)
    again.sampler.set_epoch(1)
    again.start_at(2)
    assert len(again) == 6
    assert batches_of(again) == orders[1][0][2:]


def test_the_order_is_that_of_seed_and_epoch_alone(numbered):
    store = load_data(str(numbered), memory_limit=0).train

    def epoch(number, **options):
        torch.manual_seed(number)
        loader = loader_of(store, each=8, **options)
        loader.sampler.set_epoch(number)
        return batches_of(loader)

    assert epoch(0, workers=3) == epoch(0, workers=0)
    assert epoch(0, workers=0) != epoch(1, workers=0)
    assert epoch(0, workers=0) != epoch(0, workers=0, seed=8)


def test_a_step_of_two_ranks_has_the_images_of_a_step_of_one_process(numbered):
    store = load_data(str(numbered), memory_limit=0).train
    one = batches_of(loader_of(store, each=8, drop_last=True, workers=0))
    ranks = [batches_of(loader_of(store, r, 2, each=4, drop_last=True, workers=0)) for r in range(2)]
    assert len(one) == IMAGES // 8
    assert [sorted(a + b) for a, b in zip(*ranks, strict=True)] == [sorted(batch) for batch in one]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_odd_image_is_repeated_rather_than_lost(numbered, workers):
    store = load_data(str(numbered), memory_limit=0).train
    seen = Counter[int]()
    for rank in range(2):
        loader = make_loader(
            store, np.arange(45), 4, shuffle_seed=0, rank=rank, world_size=2, workers=workers
        )
        seen.update(chain(*batches_of(loader)))
    assert sorted(seen.values()) == [1] * 44 + [2]


@pytest.mark.parametrize("workers", [0, 3])
def test_an_epoch_is_resumed_without_reading_the_images_before(numbered, workers):
    """They are deleted: reading one would be an error."""
    data = load_data(str(numbered), memory_limit=0)
    loader = loader_of(data.train, 1, 2, each=5, workers=workers)
    whole = batches_of(loader)
    for number in chain(*whole[:3]):
        (found,) = numbered.glob(f"train/*/{number:03}.png")
        found.unlink()
    resumed = loader_of(data.train, 1, 2, each=5, workers=workers)
    resumed.start_at(3)
    assert batches_of(resumed) == whole[3:]


def test_the_epoch_after_a_resumed_one_is_whole(numbered):
    loader = loader_of(load_data(str(numbered), memory_limit=0).train, each=10, workers=2)
    whole = batches_of(loader)
    loader.start_at(4)
    assert batches_of(loader) == whole[4:]
    assert batches_of(loader) == whole


def test_a_loader_keeps_its_step_in_a_checkpoint():
    store = MemoryStore(torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1), np.arange(20))
    loader, resumed = (loader_of(store, each=6, workers=0) for _ in range(2))
    batches = iter(loader)
    taken = [next(batches)[1].tolist() for _ in range(2)]
    resumed.load_state_dict(loader.state_dict())
    assert loader.state_dict() == resumed.state_dict() == {"step": 2}
    left = batches_of(resumed)
    assert left == [labels.tolist() for _, labels in batches]
    assert sorted(chain(*taken, *left)) == list(range(20))
    assert loader.state_dict() == {"step": 0}  # the next epoch begins at its beginning


def test_a_step_beyond_the_epoch_is_refused():
    store = MemoryStore(torch.zeros(20, 1, 1, 1, dtype=torch.uint8), np.arange(20))
    with pytest.raises(ValueError, match="has 4 batches: expected a step from 0 to that, got 5"):
        loader_of(store, each=6, workers=0).start_at(5)
