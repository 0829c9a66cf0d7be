"""What is kept while a training runs: a row for each epoch, the best weights, the checkpoint."""

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from foveate.errors import WorkError
from foveate.files import write_csv, write_whole
from foveate.records.metric import Metric
from foveate.records.run import Epoch
from foveate.training.checksum import add_checksum, check_checksum
from foveate.training.learned import learned_numbers
from foveate.training.module import TrainingModule
from foveate.training.recipe import Recipe

__all__ = ["CHECKPOINT", "RunKeeper", "WholeCheckpointIO"]

CHECKPOINT = "last.ckpt"
SMALL_BYTES, SHARE, LONGEST_SECONDS = 2**25, 0.05, 30.0
"""A checkpoint of more than SMALL_BYTES takes at most SHARE of the time to be written, but is written every
LONGEST_SECONDS at the latest: a killed process loses that much training."""


class WholeCheckpointIO(CheckpointIO):
    """Checkpoints that are written whole or not at all, with a checksum that is validated on reading.

    Only tensors and built-in types are unpickled from them.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to a temporary file, then rename."""
        with write_whole(Path(path)) as file:
            torch.save(checkpoint, file)
            add_checksum(file)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read with torch's restricted unpickler, whatever `weights_only` says.

        Raises:
            ValueError: the file was damaged after it was written.
        """
        check_checksum(Path(path))
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete the file if it is there."""
        Path(path).unlink(missing_ok=True)


class RunKeeper(Checkpoint):
    """Keeps a row of metrics for each epoch and the best weights so far, both inside one checkpoint.

    A large checkpoint is not written after every short epoch: see SMALL_BYTES.

    A row's `input_share` is the share of the training time between the end of a batch and the start of the
    next, including the wait for the first: images are loaded or moved to the device. A GPU continues its
    queued work meanwhile, so for its own time this is an upper bound. `learned` holds the learned numbers of
    the evaluated network's attention by site, if it has any.

    Rows and best weights are part of the checkpoint, so that a killed run resumes with exactly those that
    belong to it. Whether the training is finished follows from the rows alone.
    """

    def __init__(self, folder: Path, recipe: Recipe, metric: Metric):
        self.folder = folder
        self.recipe = recipe
        self.metric = metric
        self.epochs: list[Epoch] = []
        self.chosen_epoch = 0
        self.weights: dict[str, Tensor] = {}
        self._started = self._ended = self._trained = self._waited = 0.0
        self._saved_at = -math.inf
        self._saving_took = 0.0
        self._saved_bytes = 0

    @property
    def stopped_early(self) -> bool:
        """Whether the recipe's patience ran out before its epochs."""
        patience = self.recipe.patience
        waited = len(self.epochs) - self._best_epoch()
        return patience is not None and waited >= patience and len(self.epochs) < self.recipe.epochs

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to train."""
        return self.stopped_early or len(self.epochs) >= self.recipe.epochs

    def _best_epoch(self) -> int:
        """Return the best epoch, from 1, or 0. Ties go to the smaller loss, then to the earlier epoch."""

        def merit(row: Epoch) -> tuple[float, ...]:
            loss = -(row.validation_loss or 0.0)  # None for detectors
            primary = self.metric.sign * row.validation(self.metric)
            return (primary, loss) if self.recipe.monitor == "accuracy" else (loss,)

        return max(self.epochs, key=merit).epoch if self.epochs else 0

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._started = self._ended = time.perf_counter()
        self._waited = 0.0

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Add the time since the last batch ended, spent on loading this one and moving it to the device."""
        self._waited += time.perf_counter() - self._ended

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Start the clock for the wait for the next batch."""
        self._ended = time.perf_counter()

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Stop the clock of the epoch's training."""
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Add the row, keep the best weights, write the checkpoint if it is due, and stop at the end."""
        assert isinstance(module, TrainingModule)
        images = trainer.num_training_batches * self.recipe.batch_size
        training = self._trained - self._started
        learned = learned_numbers(module.evaluated)
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            **module.means,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self._started, 3),
            "images_per_second": round(images / training, 1),
            "input_share": round(self._waited / training, 4),
        }
        self.epochs.append(Epoch(**row, learned=learned) if learned else Epoch(**row))
        self._choose(module.evaluated)
        if self.finished or module.processes.decided_by_first(self._checkpoint_is_due()):
            started = time.perf_counter()
            trainer.save_checkpoint(self.folder / CHECKPOINT)
            self._saved_at = time.perf_counter()
            self._saving_took = self._saved_at - started
            if trainer.is_global_zero:
                self._saved_bytes = (self.folder / CHECKPOINT).stat().st_size
        if trainer.is_global_zero:
            # The learned numbers of each site are only in the result's record.
            rows = [{key: getattr(epoch, key) for key in row} for epoch in self.epochs]
            write_csv(self.folder / "epochs.csv", rows)
        trainer.should_stop = self.finished

    def _choose(self, evaluated: nn.Module) -> None:
        """Keep the weights that the recipe chooses; the last epoch's are copied only at the end."""
        last = self.recipe.choose == "last"
        if last or self._best_epoch() == len(self.epochs):
            self.chosen_epoch = len(self.epochs)
            if self.finished or not last:
                self.weights = {key: value.detach().clone() for key, value in evaluated.state_dict().items()}

    def _checkpoint_is_due(self) -> bool:
        waited = time.perf_counter() - self._saved_at
        small = self._saved_bytes <= SMALL_BYTES
        return small or waited >= min(self._saving_took / SHARE, LONGEST_SECONDS)

    def state_dict(self) -> dict[str, Any]:
        """Return the content of the checkpoint; `run` is the name of its folder, in a study the run's id."""
        weights = {key: value.cpu() for key, value in self.weights.items()}
        return {
            "run": self.folder.name,
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "chosen_epoch": self.chosen_epoch,
            "weights": weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a run, or raise WorkError for another run's checkpoint; those of 0.1.0 name no run."""
        if state_dict.get("run", self.folder.name) != self.folder.name:
            raise WorkError(
                f"{self.folder / CHECKPOINT} is the checkpoint of another run, {state_dict['run']}: delete "
                "it to start the run again"
            )
        self.epochs = [Epoch.model_validate(row) for row in state_dict["epochs"]]
        self.chosen_epoch = state_dict["chosen_epoch"]
        self.weights = state_dict["weights"]
