"""Attacks on networks whose weakest point is known, and the signs of gradients that lead nowhere."""

import random
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.evaluation.attacks import (
    NormalisedModel,
    attack,
    check_toolbox,
    masking_signs,
    useless_gradients,
)
from foveate.records.robustness import Gradients

pytest.importorskip("art")

EPS = 8
MEAN, STD = 0.5, 0.25


class Linear(nn.Module):
    """Logits that grow with the brightness of a half of the image: margins are known in pixel units."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 8 * 8, classes, bias=True)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[0] = 0.05
            self.head.weight[1] = -0.05
            self.head.bias.zero_()
            self.head.bias[2:] = -1e3

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))


def normalise(images: Tensor) -> Tensor:
    return (images - MEAN) / STD


@pytest.fixture
def model() -> NormalisedModel:
    return NormalisedModel(Linear().eval(), normalise)


def brighter_by(*levels: float) -> Tensor:
    """Images that are so many 1/255 over the boundary, which lies at the mean of 0.5."""
    return torch.stack([torch.full((3, 8, 8), MEAN + level / 255) for level in levels])


LABELS = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "ensemble"])
def test_epsilon_is_in_pixels_whatever_the_normalisation(model, name):
    """A linear network falls where the bound reaches its boundary, and nowhere else."""
    images = brighter_by(1, 7, 9, 30)
    done = attack(model, images, LABELS, name, EPS, classes=3, seed=0)
    assert (done.logits.argmax(1) == LABELS).tolist() == [False, False, True, True]
    away = (done.images - images).abs().max().item()
    assert away <= EPS / 255 + 1e-6
    assert away == pytest.approx(EPS / 255, abs=1e-5)
    assert 0 <= done.images.min() <= done.images.max() <= 1


def test_wrong_answers_are_left_as_they_are(model):
    images = brighter_by(-5, 30, 30, 30)
    done = attack(model, images, LABELS, "pgd", EPS, classes=3, seed=0)
    assert torch.equal(done.images[0], images[0])
    assert done.parts == {"pgd": 0.75}


def test_the_ensemble_tells_what_each_part_left(model):
    done = attack(model, brighter_by(1, 7, 9, 30), LABELS, "ensemble", EPS, classes=3, seed=0)
    assert list(done.parts) == ["apgd-ce", "apgd-dlr", "square"]
    assert list(done.parts.values()) == sorted(done.parts.values(), reverse=True)


def test_two_classes_have_no_third_logit():
    model = NormalisedModel(Linear(2).eval(), normalise)
    done = attack(model, brighter_by(1, 7, 9, 30), LABELS, "ensemble", EPS, classes=2, seed=0)
    assert list(done.parts) == ["apgd-ce", "square"]


def test_the_seed_decides_and_the_global_numbers_stay(model):
    images = brighter_by(5, 7, 9, 30)
    np.random.seed(3)
    random.seed(3)
    expected = np.random.rand(), random.random()
    np.random.seed(3)
    random.seed(3)
    first = attack(model, images, LABELS, "pgd", 2, classes=3, seed=1).images
    assert (np.random.rand(), random.random()) == expected
    assert torch.equal(first, attack(model, images, LABELS, "pgd", 2, classes=3, seed=1).images)


@pytest.mark.parametrize(("name", "eps", "words"), [("fgms", 8, "Did you mean 'fgsm'"), ("pgd", 0, "above")])
def test_what_is_no_attack_is_refused(model, name, eps, words):
    with pytest.raises(RequestError, match=words):
        attack(model, brighter_by(1), LABELS[:1], name, eps, classes=3, seed=0)


class Staircase(nn.Module):
    """Rounds what the network sees: the gradient is zero nearly everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear()

    def forward(self, images: Tensor) -> Tensor:
        return self.linear((images * 50).round() / 50)


def test_a_network_that_rounds_is_found_out():
    model = NormalisedModel(Staircase().eval(), normalise)
    images = brighter_by(3, 7, 12, 30)
    gradients = useless_gradients(model, images, LABELS)
    assert gradients == Gradients(zero=4, not_finite=0)
    left = attack(model, images, LABELS, "ensemble", 16, classes=3, seed=0).parts
    assert left["apgd-ce"] > left["square"]
    signs = masking_signs({16.0: left}, gradients, 4)
    assert any("black-box attack (Square) breaks" in sign for sign in signs)
    assert any("zero everywhere for 4 of 4 images" in sign for sign in signs)


class Broken(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.sqrt(images.flatten(1)[:, :3] * 0)


def test_gradients_that_are_not_finite_are_counted():
    gradients = useless_gradients(NormalisedModel(Broken(), normalise), brighter_by(1, 2, 3, 4), LABELS)
    assert gradients == Gradients(zero=0, not_finite=4)


def test_an_honest_network_shows_no_sign(model):
    images = brighter_by(1, 7, 9, 30)
    left = {
        float(eps): {
            part: value
            for name in ("fgsm", "pgd", "ensemble")
            for part, value in attack(model, images, LABELS, name, eps, classes=3, seed=0).parts.items()
        }
        for eps in (2, 8)
    }
    assert masking_signs(left, useless_gradients(model, images, LABELS), 4) == []


def test_one_step_over_many_and_more_over_less_are_signs():
    signs = masking_signs({1.0: {"fgsm": 0.2, "pgd": 0.3}, 2.0: {"fgsm": 0.5, "pgd": 0.4}}, None, 100)
    assert [sign.split(" ")[0] for sign in signs] == ["at", "PGD"]
    assert "one step (FGSM leaves 20.0%)" in signs[0]
    assert "more at 2/255 (40.0%) than at 1/255 (30.0%)" in signs[1]
    assert masking_signs({1.0: {"fgsm": 0.295, "pgd": 0.3}}, Gradients(zero=0, not_finite=0), 100) == []


@pytest.mark.parametrize(("images", "signs"), [(20, 0), (40, 1)])
def test_a_single_image_is_no_sign(images, signs):
    """Of 20 images one is 5 %."""
    left = {"fgsm": 0.5, "pgd": 0.5 + 0.05}
    assert len(masking_signs({1.0: left}, None, images)) == signs


def test_another_package_of_the_same_name_is_not_the_toolbox(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] == "art"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "art.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match=r"pip install 'foveate\[attacks\]'"):
        check_toolbox()
    monkeypatch.delitem(sys.modules, "art", raising=False)


def test_a_missing_toolbox_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'foveate\[attacks\]'"):
        check_toolbox()
