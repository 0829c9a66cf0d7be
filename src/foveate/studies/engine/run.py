"""One run: train a network with one seed, test it once, and write its record."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from foveate.data import Data, Loader, make_loader
from foveate.files import file_sha256, write_json
from foveate.models.checkpoint.save_load import WEIGHTS, save
from foveate.records.base import FORMAT
from foveate.records.file_names import RESULT
from foveate.records.run import RunData, RunRecord
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.folder import find_result
from foveate.studies.engine.holding import HeldRun, hold_run_folder
from foveate.studies.engine.network import build_for_images
from foveate.studies.engine.start import as_weights_expect, unchanged_file
from foveate.studies.spec.study import RunSpec
from foveate.tasks import TaskSteps, find_task
from foveate.training.fit import Fitted, OnEpoch, OnStep, fit
from foveate.training.keeping import CHECKPOINT
from foveate.training.machine import Logs
from foveate.training.recipe import Recipe
from foveate.training.settings import task_settings
from foveate.version import __version__

__all__ = ["AUTOCAST", "Machine", "Parts", "execute", "make_steps", "parts_of", "train"]

AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Machine:
    """How runs are carried out; apart from rounding, what they learn does not depend on it."""

    device: str = "auto"
    threads: int = 1
    workers: int = 0
    logs: Logs = "none"

    @property
    def torch_device(self) -> torch.device:
        """The device; `auto` is resolved."""
        if self.device != "auto":
            return torch.device(self.device)
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")

    def of_worker(self, worker: int) -> "Machine":
        """Return the machine as one of several worker processes uses it: GPUs are dealt out in turn."""
        if self.torch_device.type == "cuda" and ":" not in self.device:
            return replace(self, device=f"cuda:{worker % torch.cuda.device_count()}")
        return self


def make_steps(task: str, recipe: Recipe, data: Data) -> TaskSteps:
    """Return what `task` does with batches of these images; an unknown augmentation raises RequestError."""
    return find_task(task).steps(task_settings(recipe), data)


class Parts(NamedTuple):
    """The images of a run by their positions, int64: training and validation part, and test part."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def parts_of(spec: RunSpec, data: Data) -> Parts:
    """Return the parts into which a run's seed splits its images."""
    training, validation = data.split(spec.seed, spec.recipe.validation_fraction, spec.data.train_fraction)
    return Parts(training, validation, np.arange(len(data.test)))


def execute(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    start: Callable[[], nn.Module] | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    parts: Parts | None = None,
) -> RunRecord:
    """Train, test and record one run, and return its record; of a finished run, only read the record.

    `start` builds the network to start from; by default the spec's network, with random weights or with those
    that the spec names. `parts` are the images of the run, by default those of `parts_of`.

    Raises:
        WorkError: the run failed; error.txt has the traceback of an unexpected error.
    """
    with hold_run_folder(folder, machine.torch_device) as held:
        known = find_result(folder, spec.id, find_task(spec.task).record)
        return known or _execute(
            spec, data, held, machine, on_step, start, on_epoch, parts or parts_of(spec, data)
        )


def train(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    start: Callable[[], nn.Module] | None = None,
    parts: Parts | None = None,
) -> tuple[nn.Module, Fitted]:
    """Build a run's network and train it; the weights are chosen on the validation part alone.

    `start` and `parts` are those of `execute`.
    """
    torch.set_num_threads(machine.threads)
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    recipe = spec.recipe
    data = as_weights_expect(data, spec.weights)
    build = start or partial(
        build_for_images,
        spec.backbone,
        spec.attention,
        data,
        weights=unchanged_file(spec.weights),
        seed=spec.seed,
        replace_own=spec.replace_own,
        dense=spec.dense,
    )
    network = build().train()  # Lightning keeps the mode, and a trained network is in eval mode
    parts = parts or parts_of(spec, data)
    load = _loading(spec, machine)
    fitted = fit(
        network,
        make_steps(spec.task, recipe, data),
        recipe,
        load(data.train, parts.training, shuffle_seed=spec.seed, drop_last=True),
        load(data.validation_store, parts.validation, shuffle_seed=None),
        folder=folder,
        seed=spec.seed,
        device=machine.device,
        logs=machine.logs,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    return network, fitted


def _loading(spec: RunSpec, machine: Machine) -> Callable[..., Loader]:
    return partial(
        make_loader,
        batch_size=spec.recipe.batch_size,
        workers=machine.workers,
        device=machine.torch_device,
    )


def _execute(
    spec: RunSpec,
    data: Data,
    held: HeldRun,
    machine: Machine,
    on_step: OnStep | None,
    start: Callable[[], nn.Module] | None,
    on_epoch: OnEpoch | None,
    parts: Parts,
) -> RunRecord:
    data, folder = as_weights_expect(data, spec.weights), held.folder
    network, fitted = train(spec, data, folder, machine, held.stopping(on_step), on_epoch, start, parts)
    recipe, device = spec.recipe, machine.torch_device
    tested = (
        make_steps(spec.task, recipe, data)
        .to(device)
        .test(
            network,
            _loading(spec, machine)(data.test, parts.test, shuffle_seed=None),
            device=device,
            autocast=AUTOCAST[recipe.precision],
        )
    )
    held.check()
    _write_weights(folder, network, data)
    tested.keep(folder, spec.id)
    images = RunData(train=len(parts.training), validation=len(parts.validation), test=tested.images)
    record = RunRecord(
        format=FORMAT,
        foveate=__version__,
        id=spec.id,
        spec=spec.to_record(),
        data=images.model_copy(update={"greys": data.greys}) if data.greys else images,
        test=tested.scores,
        best_epoch=fitted.chosen_epoch,
        stopped_early=fitted.stopped_early,
        seconds=round(sum(epoch.seconds or 0 for epoch in fitted.epochs), 3),
        epochs=fitted.epochs,
        environment=describe_environment(device, machine.threads),
        weights_sha256=file_sha256(folder / WEIGHTS[0]),
    )
    held.publish(RESULT, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def _write_weights(folder: Path, network: nn.Module, data: Data) -> None:
    """Write the tested weights with all that is needed to use them: network, classes, preprocessing."""
    save(
        network,
        folder / WEIGHTS[0],
        classes=data.classes,
        preprocessing={
            "input_size": list(data.input_shape),
            "mean": list(data.mean),
            "std": list(data.std),
            # timm resizes to floor(size / crop_pct), which must equal the canvas.
            "crop_pct": math.nextafter(data.image_size / data.canvas, 0),
            "crop_mode": "center",
            "interpolation": "bilinear",
        },
    )
