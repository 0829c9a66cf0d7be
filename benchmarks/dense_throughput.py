"""Compare the training throughput of foveate's fit with a bare loop over the same detector or segmenter.

The bare loop has its images as floats in memory, and does a random order, forward, backward, clipping of the
gradient and step, without augmentation, metrics and checks. The fit does all that a run of a study does. They
take turns; the figure is the ratio within a turn.

    python benchmarks/dense_throughput.py [--networks fasterrcnn unet] [--backbone resnet18] [--device auto]
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench_figures import Figure, make_record
from foveate.data import make_loader
from foveate.data.dense.boxes import read_boxes
from foveate.data.dense.dataset import DenseData, open_boxes, open_masks
from foveate.data.dense.masks import read_masks
from foveate.evaluation.timing import median_interval
from foveate.files import write_json
from foveate.models.dense import DETECTORS, SEGMENTERS, create_detector, create_segmenter
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.fitting import Machine, make_steps
from foveate.tasks.segmentation import segmentation_loss
from foveate.training.fit import fit
from foveate.training.recipe import Recipe, make_recipe, read_recipe
from foveate.training.schedule import make_optimizer

Loss = Callable[[nn.Module, list[int]], torch.Tensor]
"""The loss of a network on the images at these positions."""


def write_images(folder: Path, count: int, side: int, *, masks: bool) -> Path:
    """Write `count` images to train on and two to test, of noise, with boxes (COCO) or masks of squares."""
    random, quarter = np.random.default_rng(0), side // 4
    for part, images in (("train", count), ("val", 2)):
        listed: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 1, "name": "square"}],
        }
        for index in range(images):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            mask = np.zeros((side, side), np.uint8)
            listed["images"].append({"id": index, "file_name": f"{index}.png", "width": side, "height": side})
            for number in range(4):
                x, y = map(int, random.integers(0, side - quarter, 2))
                mask[y : y + quarter, x : x + quarter] = 1
                listed["annotations"].append(
                    {
                        "id": 4 * index + number + 1,
                        "image_id": index,
                        "category_id": 1,
                        "bbox": [x, y, quarter, quarter],
                        "area": quarter**2,
                        "iscrowd": 0,
                    }
                )
            for kind, values in (("images", pixels), ("masks", mask)) if masks else (("", pixels),):
                (folder / part / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(folder / part / kind / f"{index}.png")
        if not masks:
            (folder / f"{part}.json").write_text(json.dumps(listed))
    return folder


def bare_loop(network: nn.Module, loss: Loss, images: int, recipe: Recipe, device: torch.device) -> float:
    """Return the images per second of one epoch."""
    network.to(device).train()
    optimizer = make_optimizer(network, recipe)
    order = torch.randperm(images).split(recipe.batch_size)
    started = time.perf_counter()
    for index in order:
        found = loss(network, index.tolist())
        optimizer.zero_grad()
        found.backward()
        if recipe.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_grad_norm)
        optimizer.step()
    found.item()
    return images / (time.perf_counter() - started)


def foveate_fit(network: nn.Module, data: DenseData, task: str, recipe: Recipe, device: str) -> float:
    """Return the images per second of one epoch's training."""
    training = make_loader(
        data.train, np.arange(len(data.train)), recipe.batch_size, shuffle_seed=0, drop_last=True
    )
    validation = make_loader(data.test, np.arange(len(data.test)), recipe.batch_size, shuffle_seed=None)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            network.train(),
            make_steps(task, recipe, data),
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


def losses_of(data: DenseData, device: torch.device, *, masks: bool) -> Loss:
    """Return the loss of the bare loop, over images that are floats on the device already."""
    stored, targets = data.train.__getitems__(range(len(data.train)))
    images = [image.to(device).float() / 255 for image in stored]
    if masks:
        labels = [target.to(device).long() for target in targets]

        def of_masks(network: nn.Module, index: list[int]) -> torch.Tensor:
            logits = network(torch.stack([images[i] for i in index]))
            return segmentation_loss(logits, torch.stack([labels[i] for i in index]), "cross_entropy")

        return of_masks
    boxes = [{"boxes": one.boxes.to(device), "labels": one.labels.to(device) + 1} for one in targets]

    def of_boxes(network: nn.Module, index: list[int]) -> torch.Tensor:
        losses = network([images[i] for i in index], [boxes[i] for i in index])
        return torch.stack([*losses.values()]).sum()

    return of_boxes


def measure(name: str, given: argparse.Namespace) -> Figure:
    """Measure both in turns for the network called `name`, and print and return their ratio."""
    device, masks, side = Machine(given.device).torch_device, name in SEGMENTERS, given.image_size
    task = "segmentation" if masks else "detection"
    recipe = make_recipe(read_recipe(task) | {"epochs": 1, "batch_size": given.batch_size})
    turns = []
    with tempfile.TemporaryDirectory() as written:
        folder = write_images(Path(written), given.steps * given.batch_size, side, masks=masks)
        data = open_masks(read_masks(folder), image_size=side) if masks else open_boxes(read_boxes(folder))
        classes, loss = len(data.classes), losses_of(data, device, masks=masks)

        def network() -> nn.Module:
            torch.manual_seed(0)
            if masks:
                return create_segmenter(name, given.backbone, classes=classes)
            return create_detector(name, given.backbone, classes=classes, image_size=side, size="small")

        for turn in range(given.turns + 1):
            bare = bare_loop(network(), loss, len(data.train), recipe, device)
            fitted = foveate_fit(network(), data, task, recipe, given.device)
            if turn:  # the first is a warm-up
                turns.append(fitted / bare)
                print(f"{name} {turn}: bare {bare:6.2f}, fit {fitted:6.2f} images/s, ratio {turns[-1]:.3f}")
    ratio = float(np.median(turns))
    print(f"{name}: fit / bare loop: median {ratio:.3f}, from {min(turns):.3f} to {max(turns):.3f}")
    title = f"{name} over {given.backbone}, {given.batch_size} images of {side}²: fit / bare loop"
    return Figure(title, ratio, median_interval(torch.tensor(turns)), "speed")


def main() -> None:
    """Measure each network and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--networks", nargs="+", default=["fasterrcnn", "unet"], choices=[*DETECTORS, *SEGMENTERS]
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="steps of an epoch")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    figures = [measure(name, given) for name in given.networks]
    where = describe_environment(Machine(given.device).torch_device, torch.get_num_threads())
    print(
        ", ".join(
            f"{key} {getattr(where, key)}"
            for key in ("processor", "threads", "accelerator", "torch", "lightning")
        )
    )
    if given.json:
        command = shlex.join(["python", "benchmarks/dense_throughput.py", *sys.argv[1:]])
        today = date.today().isoformat()
        write_json(given.json, make_record("dense_throughput", where.to_json(), command, today, figures))


if __name__ == "__main__":
    main()
