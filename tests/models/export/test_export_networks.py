"""Registered ResNets and ConvNeXts, exported as ONNX, give the network's logits.

By default one is exported, since tests/attention exports each mechanism by itself; `make test-all` exports
each network with each mechanism, which takes 20 minutes on a core.
"""

import itertools
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import foveate
from foveate.models.backbones.names import BACKBONES
from foveate.models.export.export import export

NAMES = [name for name in BACKBONES if "resnet" in name or "convnext" in name]
FEW = {("cifar_resnet8", "dmsca")}
CASES = [
    pytest.param(*case, marks=[] if case in FEW else [pytest.mark.full])
    for case in itertools.product(NAMES, foveate.list_attention())
]


def side(backbone: str) -> int:
    return 16 if "cifar" in backbone else 64


def lived_in(backbone: str, mechanism: str) -> nn.Module:
    """Build a network as if trained: residual branches that count, running statistics of some images.

    Not more than count: with branches at full strength, a random ResNet-50 amplifies float32's own rounding
    to 1e-4, with attention or without, as a trained one does not.
    """
    torch.manual_seed(0)
    options = {"ls_init_value": 1.0} if "convnext" in backbone else {}
    network = timm.create_model(f"{backbone}_{mechanism}", num_classes=10, **options)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        if not norm.weight.any():  # the last of a branch starts at zero
            nn.init.constant_(norm.weight, 0.3)
        norm.momentum = 1.0  # the next batch's statistics alone
    with torch.no_grad():
        network.train()(torch.randn(8, 3, side(backbone), side(backbone)))
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "mechanism"), CASES)
def test_onnx_agrees_with_the_network(backbone: str, mechanism: str, tmp_path: Path) -> None:
    network = lived_in(backbone, mechanism)
    done = export(network, tmp_path / "network.onnx", "onnx", image_size=side(backbone))
    images = torch.randn(4, 3, side(backbone), side(backbone), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        with_attention = network(images)
        without = foveate.detach(network)(images)
    effect = (with_attention - without).abs().max().item()
    print(f"{backbone} {mechanism} {done.logits_difference} of {done.largest_logit}, effect {effect}")  # -rP
    assert done.logits_difference < 1e-4
    assert done.axes == dict.fromkeys(("batch", "height", "width"), "any")
    assert done.refused == []
    assert len(done.checked) >= 5
    assert effect > 0.01
