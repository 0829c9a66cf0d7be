"""What the rows of epochs say beside the metrics: waiting for images, learned numbers by site."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from stripes import CLASSES, fit_stripes, learned, network, same
from torch import nn

import foveate
from foveate.data.loading import Selection
from foveate.training import keeping
from foveate.training.keeping import CHECKPOINT, WholeCheckpointIO
from foveate.training.learned import learned_numbers
from foveate.training.recipe import make_recipe

RECIPE = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05}


class Works(nn.Module):
    """The network, of which a training step takes 2 of the clock's seconds, and any other 100."""

    def __init__(self, clock: SimpleNamespace) -> None:
        super().__init__()
        self.inner, self.clock = network(), clock

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.clock.now += 2 if self.training else 100
        return self.inner(x)


def test_the_share_of_waiting_is_that_of_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    fetch = Selection.__getitems__

    def slow_fetch(self: Selection, positions: Any) -> Any:
        clock.now += 6
        return fetch(self, positions)

    monkeypatch.setattr(keeping, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(Selection, "__getitems__", slow_fetch)
    fitted = fit_stripes(tmp_path, Works(clock), make_recipe(RECIPE))
    for row in fitted.epochs:
        assert row.input_share == 0.75
        assert row.seconds == 6 * (6 + 2) + 2 * (6 + 100)  # six steps, two batches of validation
        assert row.images_per_second == 2.0
    header, *rows = (tmp_path / "epochs.csv").read_text().splitlines()
    assert header.split(",")[-2:] == ["images_per_second", "input_share"]
    assert [row.rpartition(",")[2] for row in rows] == ["0.75"] * 3


def attentive(attention: str = "dmsca", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    backbone = timm.create_model("cifar_resnet8", in_chans=1, num_classes=CLASSES, zero_init_last=False)
    return foveate.attach(backbone, attention, **options)


SITES = ["layer1.0", "layer2.0", "layer3.0"]


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}], ids=["evaluated itself", "averaged"])
def test_tau_is_recorded_by_site(tmp_path: Path, settings: dict) -> None:
    net = attentive()
    fitted = fit_stripes(tmp_path, net, make_recipe(RECIPE | settings))
    told = [row.learned for row in fitted.epochs]
    assert [list(of_epoch) for of_epoch in told] == [SITES] * 3
    assert told == json.loads(json.dumps(told))
    # The weights that were kept are those of the chosen epoch, and so are its numbers.
    assert learned_numbers(net) == told[fitted.chosen_epoch - 1]
    assert len({of_epoch["layer1.0"]["tau"] for of_epoch in told}) == 3
    assert "tau" not in (tmp_path / "epochs.csv").read_text()


def test_a_training_that_goes_on_has_the_rows_of_one_that_did_not_stop(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    class StopsAt(nn.Module):
        def __init__(self, step: int) -> None:
            super().__init__()
            self.inner, self.step, self.seen = attentive(), step, 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += self.training
            if self.seen == self.step:
                raise Stop
            return self.inner(x)

    recipe = make_recipe(RECIPE)
    expected = StopsAt(10**9)
    whole = fit_stripes(tmp_path / "whole", expected, recipe)
    with pytest.raises(Stop):
        fit_stripes(tmp_path / "halved", StopsAt(15), recipe)  # in the third epoch
    (kept,) = WholeCheckpointIO().load_checkpoint(tmp_path / "halved" / CHECKPOINT)["callbacks"].values()
    assert [list(row["learned"]) for row in kept["epochs"]] == [[f"inner.{site}" for site in SITES]] * 2
    got = StopsAt(10**9)
    resumed = fit_stripes(tmp_path / "halved", got, recipe)
    assert same(expected, got)
    assert learned(whole) == learned(resumed)


@pytest.mark.parametrize("attention", ["se", "dmsca(temperature=1)", "none"])
def test_without_learned_numbers_there_is_no_word_of_them(tmp_path: Path, attention: str) -> None:
    nets = {
        "se": lambda: attentive("se"),
        "dmsca(temperature=1)": lambda: attentive("dmsca", temperature=1.0),
        "none": network,
    }
    fitted = fit_stripes(tmp_path, nets[attention](), make_recipe(RECIPE | {"epochs": 1}))
    assert not fitted.epochs[0].learned


def test_numbers_of_wrapped_and_of_unknown_networks() -> None:
    assert list(learned_numbers(attentive(identity_init=True))) == SITES
    plain = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3))
    assert learned_numbers(foveate.attach(plain, "dmsca", at=["2", "0"])) == {
        "0": {"tau": 1.0},
        "2": {"tau": 1.0},
    }
    assert learned_numbers(nn.Linear(1, 1)) == {}
