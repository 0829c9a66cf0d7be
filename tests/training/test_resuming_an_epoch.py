"""Lightning resumes an epoch in its middle with foveate's loaders: real trainers and checkpoints."""

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foveate.data import make_loader
from foveate.data.store import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*treespec")


class Stopped(Exception):
    pass


class Records(lightning.LightningModule):
    """Keeps the labels of each batch with the epoch, and stops after `steps` steps with a checkpoint."""

    def __init__(self, steps: int | None = None, checkpoint: Path | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.steps, self.checkpoint = steps, checkpoint
        self.seen: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Any, index: int) -> Tensor:
        self.seen.append((self.current_epoch, batch[1].tolist()))
        return self.weight.sum()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.steps == self.trainer.global_step:
            assert self.checkpoint is not None
            self.trainer.save_checkpoint(self.checkpoint)
            raise Stopped

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: Records, folder: Path, checkpoint: Path | None = None) -> list[tuple[int, list[int]]]:
    store = MemoryStore(torch.zeros(22, 1, 2, 2, dtype=torch.uint8), np.arange(22))
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    loader = make_loader(store, np.arange(22), 4, shuffle_seed=1, drop_last=True)
    trainer.fit(module, loader, ckpt_path=None if checkpoint is None else str(checkpoint))
    return module.seen


@pytest.mark.parametrize("steps", [2, 7, 10])
def test_an_epoch_goes_on_with_its_next_batch(steps: int, tmp_path: Path) -> None:
    """5 steps an epoch: in the first, in the second, and at the end of the second."""
    whole = fit(Records(), tmp_path)
    checkpoint = tmp_path / "stopped.ckpt"
    stopped = Records(steps, checkpoint)
    with pytest.raises(Stopped):
        fit(stopped, tmp_path)
    assert len(stopped.seen) == steps
    assert len(whole) == 15
    assert stopped.seen + fit(Records(), tmp_path, checkpoint) == whole
