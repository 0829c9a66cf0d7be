"""Train the network of one run in this process, alone or as one of several that train it together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from foveate.data import Data, Loader, make_loader
from foveate.studies.engine.network import build_for_images
from foveate.studies.engine.start import as_weights_expect, unchanged_file
from foveate.studies.spec.study import RunSpec
from foveate.tasks import TaskSteps, find_task
from foveate.tasks.processes import ALONE, Processes
from foveate.training.fit import Fitted, OnEpoch, OnStep, fit
from foveate.training.machine import Logs, found_device
from foveate.training.recipe import Recipe
from foveate.training.settings import task_settings

__all__ = ["Machine", "Parts", "fit_run", "make_steps", "parts_of"]


@dataclass(frozen=True)
class Machine:
    """How runs are carried out; what they learn depends on the number of devices a little, else on nothing.

    Attributes:
        device: auto, cpu, cuda, cuda:N or mps; of several GPUs the first.
        threads: CPU threads of each process.
        workers: processes that load images, for each process that trains.
        logs: the log of each run.
        devices: processes that train one run together on each machine, one a GPU or all on the CPU.
        nodes: machines that train one run together; a scheduler starts their processes.
        is_started: whether a scheduler started the processes, as always for several machines.
        elsewhere: whether the runs are carried out by a scheduler, so that records name the host.
    """

    device: str = "auto"
    threads: int = 1
    workers: int = 0
    logs: Logs = "none"
    devices: int = 1
    nodes: int = 1
    is_started: bool = False
    elsewhere: bool = False

    @property
    def torch_device(self) -> torch.device:
        """The device; `auto` is resolved."""
        return found_device() if self.device == "auto" else torch.device(self.device)

    @property
    def processes(self) -> int:
        """The number of processes that train one run together."""
        return self.devices * self.nodes

    def of_worker(self, worker: int) -> "Machine":
        """Return the machine as one of several worker processes uses it: GPUs are dealt out in turn."""
        if self.torch_device.type == "cuda" and ":" not in self.device:
            groups = max(torch.cuda.device_count() // self.devices, 1)
            return replace(self, device=f"cuda:{worker % groups * self.devices}")
        return self

    def device_of(self, processes: Processes) -> torch.device:
        """Return the device of one of the processes that train a run together."""
        device = self.torch_device
        if processes.count == 1 or device.type != "cuda":
            return device
        return torch.device("cuda", (device.index or 0) + processes.local_rank)


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


def fit_run(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    parts: Parts | None = None,
    processes: Processes = ALONE,
    *,
    start: Callable[[], nn.Module] | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, Fitted]:
    """Build a run's network and train it, on this process's part of each batch.

    `start` builds the network to start from; by default it is that of `spec`. `parts` are the images, by
    default those of `parts_of`.
    """
    torch.set_num_threads(machine.threads)
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
    load: Callable[..., Loader] = partial(
        make_loader,
        batch_size=spec.recipe.batch_size // processes.count,
        rank=processes.rank,
        world_size=processes.count,
        workers=machine.workers,
        device=machine.device_of(processes),
    )
    fitted = fit(
        network,
        make_steps(spec.task, spec.recipe, data),
        spec.recipe,
        load(data.train, parts.training, shuffle_seed=spec.seed, drop_last=True),
        load(data.validation_store, parts.validation, shuffle_seed=None),
        folder=folder,
        seed=spec.seed,
        device=machine.device if processes.count == 1 else str(machine.device_of(processes)),
        logs=machine.logs,
        on_step=on_step,
        on_epoch=on_epoch,
        processes=processes,
    )
    return network, fitted
