"""Compare the training throughput of foveate's fit with a bare loop: same network, batch, precision, device.

The bare loop has its images as normalised floats in memory, and does a random order, forward, backward and
step, without augmentation, metrics and checks. The fit does all that a run of a study does. They take turns;
the figure is the ratio within a turn.

    python benchmarks/fit_throughput.py [--backbone cifar_resnet20] [--batch-size 128] [--device auto]
"""

import argparse
import shlex
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import nn

import foveate  # noqa: F401  registers the CIFAR networks
from bench_figures import Figure, make_record
from foveate.data import Augmentation, make_loader
from foveate.data.store import MemoryStore
from foveate.evaluation.timing import median_interval
from foveate.files import write_json
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.run import AUTOCAST
from foveate.tasks.classification import ClassificationSteps
from foveate.training.fit import fit
from foveate.training.recipe import Recipe, make_recipe
from foveate.training.schedule import make_optimizer
from foveate.training.settings import task_settings

CLASSES = 10


def bare_loop(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> float:
    """Return the images per second of one epoch."""
    device = images.device
    network.to(device).train()
    optimizer = make_optimizer(network, recipe)
    autocast = AUTOCAST[recipe.precision]
    order = torch.randperm(len(images), device=device).split(recipe.batch_size)
    started = time.perf_counter()
    for index in order:
        with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            loss = F.cross_entropy(network(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()
    return len(images) / (time.perf_counter() - started)


def foveate_fit(network: nn.Module, store: MemoryStore, size: int, recipe: Recipe, device: str) -> float:
    """Return the images per second of one epoch's training."""
    indices = np.arange(len(store))
    training = make_loader(store, indices, recipe.batch_size, shuffle_seed=0, drop_last=True)
    validation = make_loader(store, indices[: recipe.batch_size], recipe.batch_size, shuffle_seed=None)
    prepare = Augmentation(recipe.augmentation, size, 4, [0.5] * 3, [0.25] * 3)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            network,
            ClassificationSteps(task_settings(recipe), prepare, [str(label) for label in range(CLASSES)]),
            recipe,
            training,
            validation,
            folder=Path(folder),
            seed=0,
            device=device,
        )
    speed = fitted.epochs[0].images_per_second
    assert speed is not None
    return speed


def main() -> None:
    """Measure both in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backbone", default="cifar_resnet20")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--steps", type=int, default=20, help="steps of an epoch")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()

    device = Machine(given.device).torch_device
    recipe = make_recipe({"epochs": 1, "batch_size": given.batch_size, "precision": given.precision})
    count, side = given.steps * given.batch_size, given.image_size
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
    store = MemoryStore(pixels, np.arange(count) % CLASSES)
    images, labels = (
        (pixels.float() / 255 - 0.5).div(0.25).to(device),
        torch.arange(count, device=device) % CLASSES,
    )

    def network() -> nn.Module:
        torch.manual_seed(0)
        return timm.create_model(given.backbone, num_classes=CLASSES)

    turns = []
    for turn in range(given.turns + 1):
        bare = bare_loop(network(), images, labels, recipe)
        fitted = foveate_fit(network(), store, side, recipe, given.device)
        if turn:  # the first is a warm-up
            turns.append((bare, fitted, fitted / bare))
            print(f"turn {turn}: bare {bare:7.1f}, fit {fitted:7.1f} images/s, ratio {fitted / bare:.3f}")
    ratios = [ratio for *_, ratio in turns]
    ratio = float(np.median(ratios))
    spread = [min(ratios), max(ratios)]
    print(f"fit / bare loop: median {ratio:.3f}, from {spread[0]:.3f} to {spread[1]:.3f}")
    where = describe_environment(device, torch.get_num_threads())
    print(
        ", ".join(
            f"{key} {getattr(where, key)}"
            for key in ("processor", "threads", "accelerator", "torch", "lightning")
        )
    )
    if given.json:
        title = f"{given.backbone}, {given.batch_size} images of {side}², {given.precision}: fit / bare loop"
        figure = Figure(title, ratio, median_interval(torch.tensor(ratios)), "speed")
        command = shlex.join(["python", "benchmarks/fit_throughput.py", *sys.argv[1:]])
        today = date.today().isoformat()
        write_json(given.json, make_record("fit_throughput", where.to_json(), command, today, [figure]))


if __name__ == "__main__":
    main()
