"""One run: a network trained by the recipe on one seed, tested once, and recorded."""

import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn

from foveate.data import Augmentation, Data, Loader, make_loader
from foveate.errors import RequestError, WorkError
from foveate.evaluation.classification import predict
from foveate.files import file_sha256, write_json, write_text
from foveate.models.checkpoint.save_load import WEIGHTS, save
from foveate.records.base import FORMAT
from foveate.records.files import RESULT, write_record
from foveate.records.run import RunData, RunRecord
from foveate.records.scores import write_scores
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.folder import find_result
from foveate.studies.engine.network import build_network
from foveate.studies.spec.study import RunSpec
from foveate.tasks import find_task
from foveate.training.fit import Fitted, Logs, OnEpoch, OnStep, fit
from foveate.training.keeping import CHECKPOINT
from foveate.training.recipe import Recipe
from foveate.version import __version__

__all__ = ["AUTOCAST", "Cancelled", "Machine", "at_work", "execute", "make_augmentation", "train"]

AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Machine:
    """How runs are carried out; what they learn does not depend on it, but for rounding."""

    device: str = "auto"
    threads: int = 1
    workers: int = 0
    logs: Logs = "none"

    @property
    def torch_device(self) -> torch.device:
        """The device that `auto` stands for here."""
        if self.device != "auto":
            return torch.device(self.device)
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")


def make_augmentation(recipe: Recipe, data: Data) -> Augmentation:
    """The recipe's augmentation for these images; an unknown name raises RequestError."""
    return Augmentation(recipe.augmentation, data.image_size, data.padding, data.mean, data.std)


def execute(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    start: Callable[[], nn.Module] | None = None,
) -> RunRecord:
    """Train, choose, test and record one run; a finished one is only read.

    `start` builds the network to start from, where that is another than the spec's with random weights.

    Raises:
        WorkError: whatever stopped it; the traceback of an unexpected error is in error.txt.
    """
    with at_work(folder, machine):
        known = find_result(folder, spec.id, find_task(spec.task).record)
        return known or _execute(spec, data, folder, machine, on_step, start)


@contextmanager
def at_work(folder: Path, machine: Machine) -> Iterator[None]:
    """Hold a run's folder, and turn whatever goes wrong with the run into WorkError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=10):
            for stale in folder.glob("*.part"):  # of a process that was killed while it wrote
                stale.unlink()
            yield
    except Timeout as error:
        raise WorkError(f"{folder} is taken by another process") from error
    except RequestError as error:
        raise WorkError(str(error)) from error  # a streamed image that turns out to be broken
    except torch.OutOfMemoryError as error:
        raise WorkError(f"out of memory on {machine.torch_device}: lower --batch-size, or --jobs") from error
    except (WorkError, Cancelled):
        raise
    except Exception as error:  # one run's mishap is not the study's: the others go on
        write_text(folder / "error.txt", traceback.format_exc())
        raise WorkError(
            f"{type(error).__name__}: {error} (the traceback is in {folder / 'error.txt'})"
        ) from error


class Cancelled(Exception):  # noqa: N818
    """Raised by who watches a training to end it: nothing went wrong."""


def train(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    start: Callable[[], nn.Module] | None = None,
) -> tuple[nn.Module, Fitted]:
    """Build a run's network and train it; the validation part alone judges it, the test part is not read.

    `start` is that of `execute`.
    """
    torch.set_num_threads(machine.threads)
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    recipe = spec.recipe
    build = start or partial(
        build_network,
        spec.backbone,
        spec.attention,
        classes=len(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        pretrained=spec.pretrained,
        seed=spec.seed,
    )
    network = build().train()  # Lightning trains in the mode it finds, and a trained network comes in eval
    training, validation = data.split(spec.seed, recipe.validation_fraction, spec.data.train_fraction)
    load = _loading(spec, machine)
    fitted = fit(
        network,
        find_task(spec.task),
        recipe,
        make_augmentation(recipe, data),
        load(data.train, training, shuffle_seed=spec.seed, drop_last=True),
        load(data.validation_store, validation, shuffle_seed=None),
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
    folder: Path,
    machine: Machine,
    on_step: OnStep | None,
    start: Callable[[], nn.Module] | None,
) -> RunRecord:
    task = find_task(spec.task)
    network, fitted = train(spec, data, folder, machine, on_step, start=start)
    recipe, device = spec.recipe, machine.torch_device
    training, validation = data.split(spec.seed, recipe.validation_fraction, spec.data.train_fraction)
    outputs, targets = predict(
        network,
        _loading(spec, machine)(data.test, np.arange(len(data.test)), shuffle_seed=None),
        make_augmentation(recipe, data).to(device).unaugmented,
        device=device,
        autocast=AUTOCAST[recipe.precision],
    )
    _write_weights(folder, network, data)
    write_scores(folder, task.image_scores(spec.id, outputs, targets))
    images = RunData(train=len(training), validation=len(validation), test=len(targets))
    record = RunRecord(
        format=FORMAT,
        foveate=__version__,
        id=spec.id,
        spec=spec.model_dump(mode="json") | {"attention": _attention(spec)},
        data=images.model_copy(update={"greys": data.greys}) if data.greys else images,
        test=task.scores(outputs, targets, data.classes),
        best_epoch=fitted.chosen_epoch,
        stopped_early=fitted.stopped_early,
        seconds=round(sum(epoch.seconds or 0 for epoch in fitted.epochs), 3),
        epochs=fitted.epochs,
        environment=describe_environment(device, machine.threads),
        weights_sha256=file_sha256(folder / WEIGHTS[0]),
    )
    write_record(folder / RESULT, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def _attention(spec: RunSpec) -> dict[str, Any]:
    return spec.attention.model_dump(mode="json") | {"label": spec.attention.label}


def _write_weights(folder: Path, network: torch.nn.Module, data: Data) -> None:
    """The tested weights, with all that is needed to use them: network, classes, preprocessing."""
    save(
        network,
        folder / WEIGHTS[0],
        classes=data.classes,
        preprocessing={
            "input_size": [data.channels, data.image_size, data.image_size],
            "mean": list(data.mean),
            "std": list(data.std),
            # timm resizes to floor(size / crop_pct), which must come back to the canvas.
            "crop_pct": math.nextafter(data.image_size / data.canvas, 0),
            "crop_mode": "center",
            "interpolation": "bilinear",
        },
    )
