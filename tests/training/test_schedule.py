from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from foveate.training.recipe import make_recipe
from foveate.training.schedule import _can_be_fused, learning_rate_factor, make_optimizer


def factors(steps_per_epoch: int = 10, **settings: object) -> list[float]:
    recipe = make_recipe({"epochs": 4, "warmup_ratio": 0.25, "learning_rate": 0.1, **settings})
    return [learning_rate_factor(step, steps_per_epoch, recipe) for step in range(4 * steps_per_epoch)]


def test_warm_up_climbs_by_equal_steps_to_the_peak() -> None:
    assert factors()[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])


def test_cosine_passes_its_middle_and_ends_at_the_final_rate() -> None:
    # Step 10 is the peak and step 39 the end: the middle lies at 24.5, where the cosine is 1/2.
    cosine = factors(final_learning_rate=0.01)
    assert cosine[-1] == pytest.approx(0.1)
    assert (cosine[24] + cosine[25]) / 2 == pytest.approx(0.55)
    assert cosine[10:] == sorted(cosine[10:], reverse=True)


def test_linear_and_constant() -> None:
    linear = factors(schedule="linear", warmup_ratio=0)
    assert linear[0] == 1
    assert linear[13] == pytest.approx(1 - 13 / 39)
    assert linear[-1] == 0
    assert factors(schedule="constant", warmup_ratio=0) == [1.0] * 40


def test_poly_falls_by_the_power_of_what_is_left() -> None:
    poly = factors(schedule="poly", warmup_ratio=0, final_learning_rate=0.01)
    assert poly[0] == 1
    assert poly[13] == pytest.approx(0.1 + 0.9 * (1 - 13 / 39) ** 0.9)
    assert poly[-1] == pytest.approx(0.1)


def test_step_divides_by_ten_after_8_and_11_of_12_epochs() -> None:
    recipe = make_recipe({"epochs": 12, "schedule": "step", "warmup_ratio": 0.05, "learning_rate": 0.02})
    of_epochs = [learning_rate_factor(10 * epoch + 9, 10, recipe) for epoch in range(12)]
    assert of_epochs == pytest.approx([1.0] * 8 + [0.1] * 3 + [0.01])
    assert learning_rate_factor(79, 10, recipe) == 1
    assert learning_rate_factor(80, 10, recipe) == pytest.approx(0.1)


def test_one_epoch_of_one_step_trains_at_the_peak() -> None:
    recipe = make_recipe({"epochs": 1, "warmup_ratio": 0.9})
    assert learning_rate_factor(0, 1, recipe) == 1


@pytest.mark.parametrize(("decay_all", "decays"), [(False, {0.0: 3, 0.5: 1}), (True, {0.5: 4})])
def test_weight_decay_leaves_norms_and_biases_alone_unless_asked(decay_all: bool, decays: dict) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    recipe = make_recipe({"weight_decay": 0.5, "decay_norm_and_bias": decay_all})
    groups = make_optimizer(network, recipe).param_groups
    assert {group["weight_decay"]: len(group["params"]) for group in groups} == decays


@pytest.mark.parametrize(
    ("device", "settings", "fused"),
    [
        ("cuda", {"optimizer": "sgd"}, True),
        ("cuda", {"optimizer": "adamw", "precision": "bf16-mixed"}, True),
        ("cuda", {"optimizer": "lion"}, False),  # timm's own
        ("cuda", {"optimizer": "sgd", "precision": "bf16-mixed", "clip_grad_norm": 1.0}, False),
        ("cuda", {"optimizer": "sgd", "clip_grad_norm": 1.0}, True),
        ("cpu", {"optimizer": "sgd"}, False),
    ],
)
def test_the_step_is_one_kernel_on_a_gpu_where_it_can_be(device: str, settings: dict, fused: bool) -> None:
    parameter = SimpleNamespace(device=torch.device(device))
    network: Any = SimpleNamespace(parameters=lambda: [parameter])
    assert _can_be_fused(network, make_recipe(settings)) is fused
