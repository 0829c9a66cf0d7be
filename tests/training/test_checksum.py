"""A checkpoint is what was written, or it is refused: every bit of it counts."""

import zipfile
from pathlib import Path

import pytest
import torch
from stripes import fit_stripes, network

from foveate.errors import WorkError
from foveate.training.keeping import CHECKPOINT, WholeCheckpointIO
from foveate.training.recipe import make_recipe

KEPT = {"epoch": 3, "weights": {"a": torch.arange(6.0)}}


def same(checkpoint: dict) -> bool:
    return checkpoint["epoch"] == 3 and torch.equal(checkpoint["weights"]["a"], KEPT["weights"]["a"])


def test_a_checkpoint_comes_back_and_stays_an_archive_that_torch_reads(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    WholeCheckpointIO().save_checkpoint(KEPT, path)
    assert same(WholeCheckpointIO().load_checkpoint(path))
    assert same(torch.load(path, weights_only=True))  # as 0.1.0 reads it
    with zipfile.ZipFile(path) as archive:
        assert archive.comment.startswith(b"foveate-sha256:")
        assert archive.testzip() is None


def test_a_checkpoint_of_0_1_0_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    torch.save(KEPT, tmp_path / CHECKPOINT)
    assert same(WholeCheckpointIO().load_checkpoint(tmp_path / CHECKPOINT))


def test_flipped_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    WholeCheckpointIO().save_checkpoint(KEPT, path)
    content = path.read_bytes()
    taken = []
    for bit in range(0, 8 * len(content), 5):  # each place of a byte, again and again
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            WholeCheckpointIO().load_checkpoint(path)
        except ValueError:
            continue
        taken.append(bit)
    assert taken == []


@pytest.mark.parametrize("kept", [0, 1, 50, 0.5, -1, -79, -90])
def test_a_cut_checkpoint_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / CHECKPOINT
    WholeCheckpointIO().save_checkpoint(KEPT, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match="its end is missing or damaged"):
        WholeCheckpointIO().load_checkpoint(path)


class Stop(Exception):
    pass


class StopsInTheThirdEpoch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.seen = network(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += self.training
        if self.seen == 15:
            raise Stop
        return self.inner(x)


def test_a_training_does_not_resume_from_a_flipped_bit(tmp_path: Path) -> None:
    recipe = make_recipe({"epochs": 3, "batch_size": 16, "learning_rate": 0.05})
    with pytest.raises(Stop):
        fit_stripes(tmp_path, StopsInTheThirdEpoch(), recipe)
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    for place in range(0, len(content), max(len(content) // 20, 1)):
        flipped = bytearray(content)
        flipped[place] ^= 16
        path.write_bytes(flipped)
        with pytest.raises(WorkError, match=r"last\.ckpt is not a checkpoint .* delete it to start"):
            fit_stripes(tmp_path, StopsInTheThirdEpoch(), recipe)
