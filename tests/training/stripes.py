"""Small trainings on images whose class is the band of rows that is bright."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from foveate.data import Augmentation, make_loader
from foveate.data.store import MemoryStore
from foveate.tasks.classification import ClassificationSteps
from foveate.training.fit import Fitted, fit
from foveate.training.recipe import Recipe, make_recipe
from foveate.training.settings import task_settings

CLASSES = 3


def stripes(count: int, seed: int) -> MemoryStore:
    """Images (1, 8, 8) whose class is the band of rows that is bright."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    for band in range(CLASSES):
        images[labels == band, :, 2 * band : 2 * band + 2] += 90
    return MemoryStore(images.to(torch.uint8), labels.numpy())


def network(dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(256, CLASSES),
    )


def train(folder: Path, net: nn.Module | None = None, **settings: Any) -> tuple[Fitted, nn.Module]:
    recipe = make_recipe(
        {"epochs": 4, "batch_size": 16, "learning_rate": 0.05, "warmup_ratio": 0.25} | settings
    )
    net = net if net is not None else network()
    return fit_stripes(folder, net, recipe), net


def fit_stripes(folder: Path, net: nn.Module, recipe: Recipe, **options: Any) -> Fitted:
    training, validation = stripes(96, seed=1), stripes(30, seed=2)
    loaders = (
        make_loader(training, np.arange(96), recipe.batch_size, shuffle_seed=5, drop_last=True),
        make_loader(validation, np.arange(30), recipe.batch_size, shuffle_seed=None),
    )
    prepare = Augmentation(recipe.augmentation, image_size=8, padding=1, mean=[0.4], std=[0.2])
    steps = ClassificationSteps(task_settings(recipe), prepare, [str(label) for label in range(CLASSES)])
    return fit(net, steps, recipe, *loaders, folder=folder, seed=3, device="cpu", **options)


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def learned(fitted: Fitted) -> list[dict[str, Any]]:
    clocks = ("seconds", "images_per_second", "input_share")
    return [
        {key: value for key, value in row.to_json().items() if key not in clocks} for row in fitted.epochs
    ]
