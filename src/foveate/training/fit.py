"""Train a network with Lightning, and resume from the last checkpoint of its folder."""

import inspect
import logging
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from foveate.data import Loader
from foveate.errors import RequestError, WorkError
from foveate.records.metric import Metric
from foveate.records.run import Epoch
from foveate.tasks import TaskSteps
from foveate.tasks.processes import ALONE, Processes
from foveate.training.joined import JoinedProcesses
from foveate.training.keeping import CHECKPOINT, RunKeeper, WholeCheckpointIO
from foveate.training.machine import Logs, lightning_device
from foveate.training.module import TrainingModule
from foveate.training.norms import synchronised_norms
from foveate.training.recipe import Recipe

__all__ = ["Fitted", "OnEpoch", "OnStep", "fit"]

OnStep = Callable[[int, int, int, float | None], None]
"""Called a few times a second with epoch (from 1), step, steps per epoch, last validation value."""
OnEpoch = Callable[[int, float], None]
"""Called after each epoch with its number (from 1) and its validation value; an exception ends training."""

SECONDS_BETWEEN_CALLS = 0.25


@dataclass(frozen=True)
class Fitted:
    """The result of a training; the network holds the weights of `chosen_epoch`."""

    epochs: tuple[Epoch, ...]
    chosen_epoch: int
    stopped_early: bool


def fit(
    network: nn.Module,
    steps: TaskSteps,
    recipe: Recipe,
    training: Loader,
    validation: Loader,
    *,
    folder: Path,
    seed: int,
    device: str = "auto",
    logs: Logs = "none",
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    processes: Processes = ALONE,
) -> Fitted:
    """Train `network` by the steps of a task, and load the weights that the recipe chooses into it.

    Args:
        steps: what a task does with a batch: augmentation, loss, metrics.
        training: batches of images and targets; its sampler has `set_epoch`.
        validation: the only part that early stopping and the choice of weights use.
        folder: holds the checkpoint. A training resumes from an existing one with the same result: on a CPU
            bit for bit, with the same number of threads.
        device: auto, cpu, cuda, cuda:N or mps; with several processes, that of this one.
        processes: those that train the network together. Each calls this function with its own part of the
            batches and the same network; all return the same weights, and the first writes files.

    Raises:
        WorkError: a loss that is not finite, a checkpoint that cannot be read, a file that cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metric = steps.task.primary
    keeper = RunKeeper(folder, recipe, metric)
    checkpoint = folder / CHECKPOINT
    is_resumed = processes.decided_by_first(checkpoint.exists())
    if is_resumed:
        _read_checkpoint(checkpoint, keeper)
    accelerator = lightning_device(device)
    with _quiet(), _norms(network, recipe, accelerator["accelerator"], processes):
        module = TrainingModule(network, steps, recipe, len(training), seed, processes)
        if not keeper.finished:
            callbacks: list[lightning.Callback] = [keeper]
            if on_step is not None:
                callbacks.append(_StepCalls(on_step, metric))
            if on_epoch is not None:
                callbacks.append(_EpochCalls(on_epoch, metric))
            trainer = lightning.Trainer(
                **accelerator,
                **_joined(processes),
                max_epochs=recipe.epochs,
                precision=recipe.precision,
                gradient_clip_val=recipe.clip_grad_norm,
                callbacks=callbacks,
                logger=_logger(logs, folder) if processes.is_first else False,
                default_root_dir=folder,
                use_distributed_sampler=False,
                enable_checkpointing=True,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                benchmark=device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()),
            )
            with _interruptible():
                trainer.fit(module, training, validation, ckpt_path=str(checkpoint) if is_resumed else None)
    network.load_state_dict(keeper.weights)
    return Fitted(tuple(keeper.epochs), keeper.chosen_epoch, keeper.stopped_early)


def _joined(processes: Processes) -> dict[str, Any]:
    """Return Lightning's settings for processes that have joined a process group already."""
    plugins: list[Any] = [WholeCheckpointIO()]
    if processes.count == 1:
        return {"plugins": plugins}
    # The buffers of the first process are copied at the end of each epoch instead: see TrainingModule.
    known = inspect.signature(DistributedDataParallel).parameters
    copies_buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {"find_unused_parameters": False, copies_buffers: False}
    strategy = DDPStrategy(**options)
    return {
        "plugins": [*plugins, JoinedProcesses(processes)],
        "strategy": strategy,
        "num_nodes": processes.count,
    }


def _norms(
    network: nn.Module, recipe: Recipe, accelerator: str, processes: Processes
) -> AbstractContextManager[None]:
    if not recipe.sync_batchnorm or processes.count == 1:
        return nullcontext()
    return synchronised_norms(network, torch.device(accelerator))


def _read_checkpoint(checkpoint: Path, keeper: RunKeeper) -> None:
    try:
        saved = WholeCheckpointIO().load_checkpoint(checkpoint, map_location="cpu")
        keeper.load_state_dict(saved["callbacks"][keeper.state_key])
    except WorkError:
        raise
    except Exception as error:  # torch raises many types for such a file
        raise WorkError(
            f"{checkpoint} is not a checkpoint to resume from ({type(error).__name__}): delete it to start "
            "the run again"
        ) from error


def _logger(logs: Logs, folder: Path) -> Logger | bool:
    if logs == "csv":
        return CSVLogger(folder, name="logs")
    if logs == "tensorboard":
        try:
            return TensorBoardLogger(folder, name="logs")
        except ModuleNotFoundError as error:
            raise RequestError("--log tensorboard needs: pip install 'foveate[tensorboard]'") from error
    return False


class _StepCalls(lightning.Callback):
    """Calls `on_step` with the progress of the training, a few times a second."""

    def __init__(self, on_step: OnStep, metric: Metric):
        self.on_step = on_step
        self.metric = metric
        self.last = 0.0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        step, steps = trainer.fit_loop.batch_idx + 1, int(trainer.num_training_batches)
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_CALLS or step == steps:
            self.last = now
            assert isinstance(module, TrainingModule)
            value = module.means.get(f"validation_{self.metric.name}")
            self.on_step(trainer.current_epoch + 1, step, steps, value)


class _EpochCalls(lightning.Callback):
    """Calls `on_epoch` after each epoch."""

    def __init__(self, on_epoch: OnEpoch, metric: Metric):
        self.on_epoch = on_epoch
        self.metric = metric

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.on_epoch(trainer.current_epoch + 1, module.means[f"validation_{self.metric.name}"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on workers and logging, and torch's warnings on Lightning's calls."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for advice in (
            "does not have many workers",
            "The number of training batches",
            "treespec",
            "in eval mode",
            "sync_dist=True",  # the metrics are of all processes already
            "Grad strides do not match bucket view strides",
        ):
            warnings.filterwarnings("ignore", message=f".*{advice}.*")
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, where Lightning raises SystemExit and ignores further ones."""
    try:
        yield
    except SystemExit as error:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from error
