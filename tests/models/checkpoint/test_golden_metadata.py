"""What a file says of its network stays as version 0.1.0 wrote it, byte for byte, and its files are read.

`golden/metadata.json` and `golden/narrow.safetensors` were written by 0.1.0 and are never written again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors import safe_open
from torch import nn

import foveate
from foveate.models.backbones.create import create_backbone
from foveate.models.checkpoint.description import Description
from foveate.version import __version__

GOLDEN = Path(__file__).parent / "golden"
ANSWERS = [[0.03376282751560211, -0.4349569082260132], [0.05417390167713165, -0.42213594913482666]]
"""Of the network in `golden/narrow.safetensors`, when 0.1.0 had written it."""


@dataclass(frozen=True)
class Case:
    """A network, and the options with which it is saved."""

    build: Callable[[], nn.Module]
    options: dict[str, Any] = field(default_factory=dict)


def narrow() -> nn.Module:
    """A network that `create_backbone` built, a quarter as wide as its name says, with attention."""
    network = create_backbone("cifar_resnet8", classes=2, channels=1, image_size=16, width=0.25)
    return foveate.attach(network, "cbam", where="block", reduction=2, identity_init=True)


def two_mechanisms() -> nn.Module:
    network = foveate.attach(timm.create_model("cifar_resnet20"), "dmsca", stages=(2, 3), kernel_sizes=(3, 5))
    return foveate.attach(network, "sgfa", stages=[1], identity_init=True)


def own() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    return foveate.attach(network, "se", at="0", reduction=2)


CASES = {
    "registered name": Case(lambda: timm.create_model("cifar_resnet20_dmsca", num_classes=7)),
    "one channel": Case(lambda: timm.create_model("cifar_resnet20", in_chans=1)),
    "two mechanisms": Case(two_mechanisms),
    "before a module": Case(lambda: foveate.attach(timm.create_model("convnext_atto"), "cbam")),
    "width and image size": Case(narrow, {"classes": ("öre", "cat")}),
    "torchvision": Case(
        lambda: create_backbone("torchvision/shufflenet_v2_x0_5", classes=2, channels=1, image_size=64)
    ),
    "torchvision, saved by name": Case(
        lambda: foveate.attach(torchvision.models.resnet18(num_classes=5), "eca"),
        {"backbone": "torchvision/resnet18"},
    ),
    "preprocessing in an order of its own": Case(
        lambda: timm.create_model("cifar_resnet8", num_classes=2, drop_rate=0.5),
        {
            "classes": ["cat", "dog"],
            "preprocessing": {
                "std": (0.25,) * 3,
                "crop_pct": 1,
                "mean": [0.5] * 3,
                "input_size": (3, 24, 24),
            },
            "backbone_args": {"drop_rate": 0.5},
        },
    ),
    "network of one's own": Case(own, {"classes": []}),
}


def metadata(path: Path) -> str:
    with safe_open(path, "pt") as file:
        return file.metadata()["foveate"]


def golden(name: str) -> str:
    texts = json.loads((GOLDEN / "metadata.json").read_text(encoding="utf-8"))
    return texts[name].replace('"0.1.0"', f'"{__version__}"')


@pytest.mark.parametrize("name", CASES)
def test_metadata_are_those_of_version_0_1_0(name, tmp_path):
    case, path = CASES[name], tmp_path / "network.safetensors"
    foveate.save(case.build(), path, **case.options)
    assert metadata(path) == golden(name)


@pytest.mark.parametrize("name", CASES)
def test_a_description_that_is_read_and_written_is_the_same_to_the_byte(name):
    assert Description.from_json(json.loads(golden(name))).to_json() == golden(name)


def test_a_file_of_version_0_1_0_comes_back_with_its_answers():
    network = foveate.load(GOLDEN / "narrow.safetensors")
    images = torch.linspace(-1, 1, 2 * 16 * 16).reshape(2, 1, 16, 16)
    expected = torch.tensor(ANSWERS)
    with torch.no_grad():
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)
    assert network.pretrained_cfg["label_names"] == ["öre", "cat"]
    assert [*foveate.attached(network)] == [f"layer{stage}.0.bn2.attention" for stage in (1, 2, 3)]
