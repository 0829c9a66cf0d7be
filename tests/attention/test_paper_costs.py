"""The parameters and multiply-adds that the papers print."""

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import foveate


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: nn.Module, size: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2


@pytest.fixture
def resnet50() -> nn.Module:
    return timm.create_model("resnet50")


def test_dmsca_on_resnet50(resnet50):
    plain = parameters(resnet50), multiply_adds(resnet50, 224)
    foveate.attach(resnet50, "dmsca")
    assert plain[0] == 25_557_032
    assert 1.109 <= parameters(resnet50) / plain[0] <= 1.117
    assert 1.021 <= multiply_adds(resnet50, 224) / plain[1] <= 1.027


@pytest.mark.parametrize("name", ["se", "cbam"])
def test_parameters_on_resnet50_print_as_in_the_paper(resnet50, name):
    assert f"{parameters(foveate.attach(resnet50, name)) / 1e6:.2f}" == "28.09"


def test_eca_adds_one_kernel_a_block(resnet50):
    # 3 blocks of 256, 4 of 512, 6 of 1024 channels with k = 5, and 3 of 2048 with k = 7
    assert parameters(foveate.attach(resnet50, "eca")) - 25_557_032 == 13 * 5 + 3 * 7


@pytest.mark.parametrize(
    ("name", "giga", "digits"),
    [(None, 0.091, 3), ("sgfa_ca", 0.091, 3), ("scpa", 0.094, 3), ("sgfa", 0.109, 3), ("sgu", 0.1056, 4)],
)
def test_multiply_adds_on_convnext_tiny_print_as_in_the_article(name, giga, digits):
    model = timm.create_model("convnext_tiny", num_classes=10)
    if name is not None:
        foveate.attach(model, name)
    assert round(multiply_adds(model, 32) / 1e9, digits) == giga
