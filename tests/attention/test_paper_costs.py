"""The parameters and multiply-adds that the papers print."""

from collections.abc import Iterator

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
        model.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return counter.get_total_flops() / 2


@pytest.fixture(autouse=True)
def without_memory() -> Iterator[None]:
    """What is counted needs no numbers: networks are built, and run, on the meta device."""
    with torch.device("meta"):
        yield


@pytest.fixture
def resnet50() -> nn.Module:
    return timm.create_model("resnet50")


def test_dmsca_on_resnet50(resnet50):
    plain = parameters(resnet50), multiply_adds(resnet50, 224)
    foveate.attach(resnet50, "dmsca")
    assert plain[0] == 25_557_032
    assert 1.109 <= parameters(resnet50) / plain[0] <= 1.117
    assert 1.021 <= multiply_adds(resnet50, 224) / plain[1] <= 1.027


@pytest.mark.parametrize(("name", "million"), [("se", "28.09"), ("cbam", "28.09"), ("bam", "25.92")])
def test_parameters_on_resnet50_print_as_in_the_paper(resnet50, name, million):
    assert f"{parameters(foveate.attach(resnet50, name)) / 1e6:.2f}" == million


# Triplet attention: 4.8 k in 16 blocks, 6 k² = 294 weights and three norms of two a block.
@pytest.mark.parametrize(("name", "added"), [("simam", 0), ("triplet", 16 * (6 * 7**2 + 6))])
def test_parameters_added_to_resnet50_are_the_papers(resnet50, name, added):
    assert parameters(foveate.attach(resnet50, name)) - 25_557_032 == added


@pytest.mark.parametrize(
    ("backbone", "classes", "million"), [("cifar_resnet50", 100, "149.47"), ("resnet18", 1000, "16.04")]
)
def test_gam_parameters_print_as_in_the_paper(backbone, classes, million):
    model = foveate.attach(timm.create_model(backbone, num_classes=classes), "gam")
    assert f"{parameters(model) / 1e6:.2f}" == million


def test_five_double_attention_blocks_make_resnet50_as_large_as_the_papers(resnet50):
    # 33.0 M, met to the million by two blocks on the 512 channels of Res3 and three on the 1024 of Res4.
    blocks = [*[foveate.create_attention("a2", 512)] * 2, *[foveate.create_attention("a2", 1024)] * 3]
    assert round((parameters(resnet50) + sum(map(parameters, blocks))) / 1e6) == 33


def test_double_attention_ends_the_second_and_the_third_stage(resnet50):
    foveate.attach(resnet50, "a2")
    assert list(foveate.attached(resnet50)) == ["layer2.3.attention", "layer3.5.attention"]


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
