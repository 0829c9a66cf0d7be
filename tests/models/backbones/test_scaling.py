"""Wider and deeper plain backbones, counted by themselves."""

import math

import pytest
import timm
import torch
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models.backbones.scaling import create_timm, scaled_arguments


def count(name: str, width: float = 1.0, extra_blocks: int = 0) -> int:
    """Numbers in the shapes of the network's parameters, once it has run on odd maps in training."""
    with torch.device("meta"):
        network = create_timm(name, num_classes=10, **scaled_arguments(name, width, extra_blocks))
        network(torch.zeros(2, 3, 40, 40))
    return sum(math.prod(parameter.shape) for parameter in network.parameters())


@pytest.mark.parametrize(
    "name",
    ["cifar_resnet20", "resnet18", "resnet50", "resnext50_32x4d", "convnext_atto", "convnext_tiny_sgfa"],
)
def test_width_and_depth_of_one_change_nothing(name):
    assert scaled_arguments(name) == {}
    assert scaled_arguments(name, 1.0, 0) == {}
    same = count(name, 1.00001)  # rounds back to the network's own channels
    assert same == count(name)


@pytest.mark.parametrize(
    "name",
    [
        "cifar_resnet20",
        "resnet18",
        "resnet50",
        "convnext_atto",
        "mobilenetv3_small_100",
        "mobilenetv2_100",
        "efficientnet_b0",
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("cifar_resnet18", "cifar_resnet50", "resnet50d", "resnext50_32x4d")
        ),
    ],
)
def test_a_wider_network_has_more(name):
    widths = [0.5, 0.99, 1.0, 1.013, 1.37, 2.0]
    counts = [count(name, width) for width in widths]
    assert counts == sorted(counts)
    assert counts[-1] > 2.5 * counts[2] > 2.5 * 2 * counts[0]


def test_channels_are_whole_and_as_fine_as_can_be():
    assert scaled_arguments("resnet18", 1.01) == {"channels": [65, 129, 259, 517]}
    assert scaled_arguments("convnext_atto", 1.06) == {"dims": [42, 85, 170, 339]}
    assert scaled_arguments("resnet18", 0.001) == {"channels": [1, 1, 1, 1]}
    assert scaled_arguments("mobilenetv3_small_075", 2) == {"channel_multiplier": 1.5}
    assert scaled_arguments("mobilenetv3_small_075", 4 / 3, 0) == {"channel_multiplier": 1.0}
    assert count("mobilenetv3_small_075", 4 / 3) == count("mobilenetv3_small_100")


def test_the_stem_of_cifar_resnets_fits_the_first_stage():
    # 16, 32 and 64 channels times 1.1 are 17.6, 35.2 and 70.4; the stem's are two times a whole number.
    network = create_timm("cifar_resnet20", **scaled_arguments("cifar_resnet20", 1.1))
    assert isinstance(network.conv1, nn.Conv2d)
    assert (network.conv1.kernel_size, network.conv1.out_channels) == ((3, 3), 18)
    assert network.layer1[0].downsample is None  # as in the network itself
    assert [stage[-1].conv2.out_channels for stage in (network.layer1, network.layer2, network.layer3)] == [
        18,
        35,
        70,
    ]
    # By hand: 3×3 convolutions, 1×1 projections, two numbers of batch norm a channel, the classifier.
    stem = 9 * 3 * 18 + 2 * 18
    first = 3 * 2 * (9 * 18 * 18 + 2 * 18)
    second = 9 * 18 * 35 + 5 * 9 * 35 * 35 + 6 * 2 * 35 + 18 * 35 + 2 * 35
    third = 9 * 35 * 70 + 5 * 9 * 70 * 70 + 6 * 2 * 70 + 35 * 70 + 2 * 70
    assert count("cifar_resnet20", 1.1) == stem + first + second + third + 70 * 10 + 10


def test_blocks_come_where_deeper_members_of_the_family_have_theirs():
    assert scaled_arguments("resnet50", 1, 17) == {"layers": [3, 4, 23, 3]}  # ResNet-101's
    assert scaled_arguments("convnext_tiny", 1, 18) == {"depths": [3, 3, 27, 3]}  # ConvNeXt-S's
    assert count("resnet50", extra_blocks=17) == count("resnet101")
    assert scaled_arguments("cifar_resnet20", 1, 1) == {"layers": [3, 3, 4]}
    assert scaled_arguments("cifar_resnet20", 1, 2) == {"layers": [3, 4, 4]}
    assert scaled_arguments("cifar_resnet20", 1, 7) == {"layers": [5, 5, 6]}
    block = 2 * (9 * 64 * 64 + 2 * 64)
    assert count("cifar_resnet20", extra_blocks=1) == count("cifar_resnet20") + block
    both = scaled_arguments("resnet18", 1.5, 1)
    assert both == {"channels": [96, 192, 384, 768], "layers": [2, 2, 3, 2]}


@pytest.mark.parametrize(
    ("name", "width", "extra_blocks", "message"),
    [
        (
            "vit_tiny_patch16_224",
            1.5,
            0,
            "vit_tiny_patch16_224 cannot be made wider: .* ResNets and ConvNeXts",
        ),
        ("mobilenetv3_small_100", 1.0, 2, "cannot be made deeper: .* ResNets and ConvNeXts"),
        ("torchvision/resnet18", 1.5, 0, "torchvision/resnet18 cannot be made wider"),
        ("resnet18", 0, 0, "width = 0, .*expected a number above 0"),
        ("resnet18", math.nan, 0, "expected a number above 0"),
        ("resnet18", 1.0, -1, "extra_blocks = -1"),
    ],
)
def test_what_cannot_be_is_refused(name, width, extra_blocks, message):
    with pytest.raises(RequestError, match=message):
        scaled_arguments(name, width, extra_blocks)


def test_a_multiple_is_for_those_defined_by_one(tmp_path):
    with pytest.raises(RequestError, match="resnet18 has no channel_multiplier"):
        create_timm("resnet18", channel_multiplier=1.1)
    wider = create_timm("mobilenetv3_small_050", channel_multiplier=0.6, num_classes=2).eval()
    path = tmp_path / "wider.safetensors"
    foveate.save(wider, path, backbone_args={"channel_multiplier": 0.6})
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(foveate.load(path)(images), wider(images))


def test_random_numbers_are_left_alone():
    torch.manual_seed(0)
    scaled_arguments("resnet26", 1.2)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)
    assert timm.is_model("resnet26")
