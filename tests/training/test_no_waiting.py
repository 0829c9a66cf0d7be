"""A training step gives the device its work and never waits for what comes of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from stripes import network, stripes
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from foveate.data import Augmentation
from foveate.data.loading import ResidentLoader, make_loader
from foveate.records.metric import CLASSIFICATION
from foveate.tasks.classification import ClassificationSteps
from foveate.training import keeping
from foveate.training.fit import fit
from foveate.training.recipe import make_recipe
from foveate.training.settings import task_settings

# Operators whose result, or its shape, must be known on the CPU: on a GPU each of them waits.
WAITING = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "unique_consecutive"}
READING = ("__bool__", "__float__", "__int__", "cpu", "item", "numpy", "tolist")


class Watcher(TorchDispatchMode):
    """Counts what would wait for a GPU while `watching`."""

    def __init__(self) -> None:
        super().__init__()
        self.watching = False
        self.steps = 0
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            mask is not None and mask.dtype in (torch.bool, torch.uint8) for mask in args[1]
        )
        if self.watching and (masks or name in WAITING):
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


class Window(lightning.Callback):
    """Opens the watch at the first of some steps and closes it behind the last, loader and hooks included."""

    def __init__(self, watcher: Watcher, first: int, steps: int) -> None:
        self.watcher, self.first, self.last = watcher, first, first + steps

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        self.watcher.watching = self.watcher.watching or index == self.first
        self.watcher.steps += self.watcher.watching

    def on_train_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, index: int) -> None:
        if index + 1 == self.last:
            self.watcher.watching = False


@contextmanager
def reading_counted(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count the methods of a tensor that read it, which no operator shows on a CPU."""
    with monkeypatch.context() as patch:
        for name in READING:
            original = getattr(Tensor, name)

            def counted(self: Tensor, *args: Any, name: str = name, original: Any = original) -> Any:
                if watcher.watching:
                    watcher.waits[name] += 1
                return original(self, *args)

            patch.setattr(Tensor, name, counted)
        with watcher:
            yield


def loaders(batch_size: int = 8) -> tuple[ResidentLoader, ResidentLoader]:
    """Training and validation as on a GPU: all images resident, here on the CPU."""
    made = []
    for store, seed in ((stripes(120, seed=1), 5), (stripes(30, seed=2), None)):
        usual = make_loader(
            store, np.arange(len(store)), batch_size, shuffle_seed=seed, drop_last=seed is not None
        )
        sampler = usual.sampler if seed is not None else None
        resident = ResidentLoader(
            store, np.arange(len(store)), batch_size, sampler, seed is not None, torch.device("cpu")
        )
        made.append(resident)
    return made[0], made[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"label_smoothing": 0.1, "channels_last": True, "precision": "bf16-mixed"},
        # Not AdamW: its step counts lie on the CPU, also of a GPU's weights, and are read there.
        {"ema_decay": 0.9, "clip_grad_norm": 1.0, "optimizer": "momentum"},
    ],
    ids=["sgd", "averaged, clipped"],
)
def test_ten_steps_wait_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    recipe = make_recipe({"epochs": 1, "batch_size": 8, "augmentation": "crop,flip,erase"} | settings)
    watcher = Watcher()
    trainer_init = lightning.Trainer.__init__

    def with_window(self: Any, *args: Any, callbacks: Any = (), **options: Any) -> None:
        trainer_init(self, *args, callbacks=[*callbacks, Window(watcher, 2, 10)], **options)

    monkeypatch.setattr(lightning.Trainer, "__init__", with_window)
    training, validation = loaders()
    prepare = Augmentation(recipe.augmentation, image_size=8, padding=1, mean=[0.4], std=[0.2])
    with reading_counted(watcher, monkeypatch):
        fit(
            network(),
            ClassificationSteps(task_settings(recipe), prepare, ["0", "1", "2"]),
            recipe,
            training,
            validation,
            folder=tmp_path,
            seed=3,
            device="cpu",
            on_step=lambda *position: None,
        )
    assert watcher.steps == 10
    assert watcher.waits == {}


def test_the_watcher_sees_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher()
    with reading_counted(watcher, monkeypatch):
        watcher.watching = True
        x = torch.arange(3.0)
        _ = x.sum().item(), bool(x.any()), x[x > 1], x.tolist()
    assert set(watcher.waits) >= {"_local_scalar_dense", "item", "index", "tolist"}


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_resident_batches_are_those_of_the_dataloader(seed: int | None, drop_last: bool) -> None:
    store = stripes(50, seed=1)
    indices = np.random.default_rng(0).permutation(50)[:41]
    usual = make_loader(store, indices, 8, shuffle_seed=seed, drop_last=drop_last)
    sampler = usual.sampler if seed is not None else None
    resident = ResidentLoader(store, indices, 8, sampler, drop_last, torch.device("cpu"))
    assert len(resident) == len(usual) == (5 if drop_last else 6)
    for epoch in range(2):
        if seed is not None:
            sampler.set_epoch(epoch)
        for (images, labels), (of_images, of_labels) in zip(resident, usual, strict=True):
            assert torch.equal(images, of_images)
            assert torch.equal(labels, of_labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_set_in_memory_is_resident_on_a_gpu() -> None:
    device, store = torch.device("cuda", 0), stripes(50, seed=1)
    loader = make_loader(store, np.arange(50), 8, shuffle_seed=5, device=device)
    assert isinstance(loader, ResidentLoader)
    assert {batch[0].device for batch in loader} == {device}


def test_a_costly_checkpoint_is_written_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = keeping.RunKeeper(tmp_path, make_recipe({"epochs": 3}), CLASSIFICATION.primary)
    monkeypatch.setattr(keeping.time, "perf_counter", lambda: 100.0)

    def due(ago: float, took: float, size: int = 134_000_000) -> bool:
        keeper._saved_at, keeper._saving_took, keeper._saved_bytes = 100.0 - ago, took, size
        return keeper._checkpoint_is_due()

    assert due(ago=float("inf"), took=0.0, size=0)  # the first one
    assert due(ago=0.5, took=0.5, size=1_000_000)  # a small one: after each epoch
    assert not due(ago=5.0, took=0.5)  # 10 % of the time
    assert due(ago=11.0, took=0.5)  # under 5 %
    assert not due(ago=29.0, took=9.0)
    assert due(ago=31.0, took=9.0)  # never more than half a minute is lost
