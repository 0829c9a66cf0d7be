"""What a training keeps while it runs: the rows of its epochs, the best weights, the checkpoint."""

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
"""A checkpoint of more bytes is written seldom enough to take at most this share of the time, but after so
many seconds at the latest: so much training is lost when a process is killed."""


class WholeCheckpointIO(CheckpointIO):
    """Checkpoints written whole or not at all, with a checksum that every reading compares.

    Nothing but tensors and numbers is unpickled from them.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to a temporary file, then rename."""
        with write_whole(Path(path)) as file:
            torch.save(checkpoint, file)
            add_checksum(file)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read with torch's restricted unpickler, whatever the caller asked for.

        Raises:
            ValueError: the file is not as it was written.
        """
        check_checksum(Path(path))
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete the file if it is there."""
        Path(path).unlink(missing_ok=True)


class RunKeeper(Checkpoint):
    """After each epoch: a row of metrics, the best weights so far, and all of it in one checkpoint.

    A large checkpoint beside short epochs, as of a ResNet-18 on a GPU, is not written after each of them: see
    SMALL_BYTES.

    A row's `input_share` is the share of the training's time that went by between the end of one batch and
    the start of the next (the first one's wait included): images were waited for, or moved to the device. A
    GPU goes on with what it was given meanwhile, so of its own time it is an upper bound. `learned` are the
    learned numbers of the judged network's attention by site, where it has any.

    Rows and best weights travel inside the checkpoint, so that a killed run goes on with exactly the ones
    that belong to it. Whether training is over follows from the rows alone.
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
        """Whether the recipe's patience has run out before its epochs."""
        patience = self.recipe.patience
        waited = len(self.epochs) - self._best_epoch()
        return patience is not None and waited >= patience and len(self.epochs) < self.recipe.epochs

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to train."""
        return self.stopped_early or len(self.epochs) >= self.recipe.epochs

    def _best_epoch(self) -> int:
        """The best epoch, from 1 (0: none yet); of equals the one with the smaller loss, then the earlier."""

        def merit(row: Epoch) -> tuple[float, ...]:
            loss = -row.validation_loss
            primary = self.metric.sign * row.validation(self.metric)
            return (primary, loss) if self.recipe.monitor == "accuracy" else (loss,)

        return max(self.epochs, key=merit).epoch if self.epochs else 0

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._started = self._ended = time.perf_counter()
        self._waited = 0.0

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Since the last batch ended nothing was done but to get this one, and to move it to the device."""
        self._waited += time.perf_counter() - self._ended

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """From here on the next batch is waited for."""
        self._ended = time.perf_counter()

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Training's share of the epoch ends here."""
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Row, best weights, checkpoint; and the end, where the rows say so."""
        assert isinstance(module, TrainingModule)
        images = trainer.num_training_batches * self.recipe.batch_size * trainer.world_size
        training = self._trained - self._started
        learned = learned_numbers(module.judged)
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            **module.means,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self._started, 3),
            "images_per_second": round(images / training, 1),
            "input_share": round(self._waited / training, 4),
        }
        self.epochs.append(Epoch(**row, learned=learned) if learned else Epoch(**row))
        self._choose(module.judged)
        if self.finished or self._checkpoint_is_due():
            started = time.perf_counter()
            trainer.save_checkpoint(self.folder / CHECKPOINT)
            self._saved_at = time.perf_counter()
            self._saving_took = self._saved_at - started
            self._saved_bytes = (self.folder / CHECKPOINT).stat().st_size
        if trainer.is_global_zero:
            # Without the learned numbers of each site, which are in the result's record.
            rows = [{key: getattr(epoch, key) for key in row} for epoch in self.epochs]
            write_csv(self.folder / "epochs.csv", rows)
        trainer.should_stop = self.finished

    def _choose(self, judged: nn.Module) -> None:
        """Keep the weights that the recipe chooses; those of the last epoch are needed at the end alone."""
        last = self.recipe.choose == "last"
        if last or self._best_epoch() == len(self.epochs):
            self.chosen_epoch = len(self.epochs)
            if self.finished or not last:
                self.weights = {key: value.detach().clone() for key, value in judged.state_dict().items()}

    def _checkpoint_is_due(self) -> bool:
        waited = time.perf_counter() - self._saved_at
        small = self._saved_bytes <= SMALL_BYTES
        return small or waited >= min(self._saving_took / SHARE, LONGEST_SECONDS)

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint; `run` is the name of its folder, which is a run's id in a study."""
        weights = {key: value.cpu() for key, value in self.weights.items()}
        return {
            "run": self.folder.name,
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "chosen_epoch": self.chosen_epoch,
            "weights": weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What a run resumes with. WorkError where it is another run's; 0.1.0 did not say whose it is."""
        if state_dict.get("run", self.folder.name) != self.folder.name:
            raise WorkError(
                f"{self.folder / CHECKPOINT} is the checkpoint of another run, {state_dict['run']}: delete "
                "it, and the run starts anew"
            )
        self.epochs = [Epoch.model_validate(row) for row in state_dict["epochs"]]
        self.chosen_epoch = state_dict["chosen_epoch"]
        self.weights = state_dict["weights"]
