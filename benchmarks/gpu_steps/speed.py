"""Fifth step: measure how fast the recipe of the study trains, eager and compiled, and where it waits."""

import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foveate.data import Augmentation, make_loader
from foveate.data.store import MemoryStore
from foveate.studies.engine.network import build_network
from foveate.studies.spec.candidate import Candidate
from foveate.tasks.classification import ClassificationSteps
from foveate.training.fit import fit
from foveate.training.recipe import make_recipe, read_recipe
from foveate.training.settings import task_settings
from gpu_steps.settings import Settings
from gpu_steps.units import Unit

STEP = "speed"
EPOCHS = 3
CLASSES, SIDE, PADDING = 10, 32, 4


def units(settings: Settings) -> list[Unit]:
    """List the units: the baseline and DMSCA, each eager and compiled."""
    return [
        Unit(
            STEP,
            f"training {settings.study['backbone']} with {mechanism}{', compiled' * compiled}",
            measure_training,
            (mechanism, compiled),
            120.0,
            60.0 if compiled else 20.0,
        )
        for compiled in settings.training_forms
        for mechanism in ("none", "dmsca")
    ]


def measure_training(settings: Settings, mechanism: str, compiled: bool, *, seconds: float) -> dict[str, Any]:
    """Train three epochs on random images; the last one is the figure, as the first includes start-up."""
    changes = settings.recipe | {"epochs": EPOCHS, "compile": compiled}
    recipe = make_recipe(read_recipe(str(settings.study["recipe"])) | changes)
    images = settings.training_images
    draw = torch.Generator().manual_seed(0)
    shape = (images, 3, SIDE, SIDE)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    store, device = MemoryStore(pixels, np.arange(images) % CLASSES), settings.torch_device
    network = build_network(
        str(settings.study["backbone"]), Candidate(name=mechanism), classes=CLASSES, channels=3
    )
    indices = np.arange(images)
    training = make_loader(store, indices, recipe.batch_size, shuffle_seed=0, drop_last=True, device=device)
    few = indices[: recipe.batch_size]  # the batch size of training: another one would be compiled again
    validation = make_loader(store, few, recipe.batch_size, shuffle_seed=None, device=device)
    prepare = Augmentation(recipe.augmentation, SIDE, PADDING, [0.5] * 3, [0.25] * 3)
    with tempfile.TemporaryDirectory() as folder, _waits_counted(device) as waits:
        fitted = fit(
            network.train(),
            ClassificationSteps(task_settings(recipe), prepare, [str(label) for label in range(CLASSES)]),
            recipe,
            training,
            validation,
            folder=Path(folder),
            seed=0,
            device=settings.device,
        )
    first, *_, last = fitted.epochs
    return {
        "images_per_second": last.images_per_second,
        "seconds_an_epoch": last.seconds,
        "seconds_of_the_first_epoch": first.seconds,
        "input_share": last.input_share,
        "steps": EPOCHS * len(training),
        "waits": dict(waits.most_common(10)),
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if settings.device == "cuda" else None,
    }


@contextmanager
def _waits_counted(device: torch.device) -> Iterator[Counter[str]]:
    """Count where the CPU waits for a GPU; a few waits per epoch are intended, one per step is an error."""
    places: Counter[str] = Counter()
    if device.type != "cuda":
        yield places
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", message=".*called a synchronizing CUDA operation.*")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [one for one in said if "called a synchronizing" in str(one.message)]
    places.update(f"{Path(one.filename).name}:{one.lineno}" for one in found)
