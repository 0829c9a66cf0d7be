import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from stripes import fit_stripes, learned, network, same, stripes, train
from torch import nn

from foveate.data import Augmentation
from foveate.errors import RequestError, WorkError
from foveate.training.keeping import CHECKPOINT, WholeCheckpointIO
from foveate.training.machine import lightning_device
from foveate.training.recipe import make_recipe


def test_it_learns_and_says_so(tmp_path: Path) -> None:
    fitted, _ = train(tmp_path, epochs=6)
    assert fitted.epochs[-1].validation_accuracy > 0.9
    assert fitted.epochs[-1].train_loss < fitted.epochs[0].train_loss
    assert [row.epoch for row in fitted.epochs] == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "epochs.csv").read_text().count("\n") == 7


@pytest.mark.parametrize(
    "settings", [{}, {"ema_decay": 0.9}, {"optimizer": "adamw"}, {"channels_last": True}]
)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(tmp_path: Path, settings: dict) -> None:
    (one, first), (two, second) = (train(tmp_path / name, **settings) for name in ("a", "b"))
    assert same(first, second)
    assert learned(one) == learned(two)


class Stop(Exception):
    """Stands for whatever ends a process."""


class StopsAt(nn.Module):
    """The network, which breaks down in its n-th training step."""

    def __init__(self, inner: nn.Module, step: int) -> None:
        super().__init__()
        self.inner, self.step, self.seen = inner, step, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += self.training
        if self.seen == self.step:
            raise Stop
        return self.inner(x)


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}, {"optimizer": "adamw", "choose": "last"}])
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path: Path, settings: dict) -> None:
    whole, expected = train(tmp_path / "whole", StopsAt(network(), 10**9), **settings)
    with pytest.raises(Stop):
        train(tmp_path / "halved", StopsAt(network(), 15), **settings)  # the third epoch of six steps
    rows = (tmp_path / "halved" / "epochs.csv").read_text().splitlines()
    assert len(rows) == 1 + 2
    resumed, got = train(tmp_path / "halved", StopsAt(network(), 10**9), **settings)
    assert same(expected, got)
    assert learned(whole) == learned(resumed)
    assert whole.chosen_epoch == resumed.chosen_epoch


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "one")
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "one" / CHECKPOINT, tmp_path / "two")
    with pytest.raises(WorkError, match=r"two/last\.ckpt is the checkpoint of another run, one: delete it"):
        train(tmp_path / "two")


def test_a_training_that_had_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    fitted, expected = train(tmp_path, patience=1, epochs=30)
    again, got = train(tmp_path, StopsAtOnce(), patience=1, epochs=30)
    assert fitted.stopped_early
    assert again == fitted
    assert same(expected, got.net)


class StopsAtOnce(nn.Module):
    """A network whose forward must not be reached; its state is that of the network."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "net", network())

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.net.load_state_dict(*args, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise Stop


def test_patience_stops_after_epochs_without_a_better_one(tmp_path: Path) -> None:
    fitted, _ = train(tmp_path, patience=2, epochs=40)
    accuracy = [(row.validation_accuracy, -row.validation_loss) for row in fitted.epochs]
    best = accuracy.index(max(accuracy)) + 1
    assert fitted.stopped_early
    assert fitted.chosen_epoch == best
    assert len(fitted.epochs) == best + 2


def test_the_chosen_weights_are_those_of_the_chosen_epoch(tmp_path: Path) -> None:
    best, chosen = train(tmp_path / "best", learning_rate=0.5, monitor="loss", epochs=5, warmup_ratio=0)
    losses = [row.validation_loss for row in best.epochs]
    assert best.chosen_epoch == losses.index(min(losses)) + 1
    store = stripes(30, seed=2)
    plain = Augmentation((), 8, 1, [0.4], [0.2]).unaugmented(store.images)
    with torch.no_grad():
        loss = nn.functional.cross_entropy(chosen.eval()(plain), torch.from_numpy(store.labels))
    assert loss.item() == pytest.approx(min(losses), rel=1e-5)


def test_a_loss_that_is_no_number_names_epoch_step_and_rate(tmp_path: Path) -> None:
    with pytest.raises(
        WorkError, match=r"epoch \d+, step \d+ of 6, learning rate \d.*e\+\d+: lower learning_rate"
    ):
        train(tmp_path, learning_rate=1e30, warmup_ratio=0)


def test_label_smoothing_is_for_training_only(tmp_path: Path) -> None:
    (plain, _), (smooth, _) = (
        train(tmp_path / str(value), label_smoothing=value, epochs=8) for value in (0.0, 0.3)
    )
    assert smooth.epochs[-1].train_loss > 0.6 > plain.epochs[-1].train_loss


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_logs_by_flag(tmp_path: Path, kind: Any) -> None:
    recipe = make_recipe({"epochs": 1, "batch_size": 16})
    fit_stripes(tmp_path, network(), recipe, logs=kind)
    pattern = {"csv": "metrics.csv", "tensorboard": "events.out*"}[kind]
    assert list((tmp_path / "logs").rglob(pattern))


def test_steps_are_told(tmp_path: Path) -> None:
    told: list[tuple] = []
    recipe = make_recipe({"epochs": 2, "batch_size": 16})
    fit_stripes(tmp_path, network(), recipe, on_step=lambda *position: told.append(position))
    assert told[-1][:3] == (2, 6, 6)
    assert told[-1][3] > 0


def test_compiled_training_keeps_the_keys(tmp_path: Path) -> None:
    _, net = train(tmp_path, epochs=1, compile=True)
    assert list(net.state_dict()) == list(network().state_dict())


def test_bf16_trains(tmp_path: Path) -> None:
    fitted, _ = train(tmp_path, precision="bf16-mixed", epochs=6)
    assert fitted.epochs[-1].validation_accuracy > 0.9


class Planted:
    """An object whose unpickling would be noticed."""

    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a checkpoint was unpickled",))


def test_a_planted_checkpoint_is_not_unpickled(tmp_path: Path) -> None:
    torch.save({"callbacks": Planted()}, tmp_path / CHECKPOINT)
    with pytest.raises(Exception, match="[Ww]eights.only"):
        WholeCheckpointIO().load_checkpoint(tmp_path / CHECKPOINT, weights_only=False)


class PressesCtrlC(StopsAt):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return super().forward(x)
        except Stop:
            signal.raise_signal(signal.SIGINT)
            raise


def test_ctrl_c_is_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, PressesCtrlC(network(), 15))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("device", ["gpu9", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(RequestError, match=r"device .*(expected auto, cpu|torch sees)"):
        lightning_device(device)
