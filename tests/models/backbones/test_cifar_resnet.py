"""The ResNets for small images."""

import pytest
import timm
import torch

import foveate.models  # noqa: F401  registers them

NAMES = ["cifar_resnet8", "cifar_resnet18", "cifar_resnet20", "cifar_resnet34", "cifar_resnet50"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # timm's ResNet, less 64·3·(7·7 - 3·3) in the stem and 990 classes in the head
        ("cifar_resnet18", 11_689_512 - 7_680 - 513 * 990),
        ("cifar_resnet34", 21_797_672 - 7_680 - 513 * 990),
        ("cifar_resnet50", 25_557_032 - 7_680 - 2_049 * 990),
        # He et al.: 0.27 M. 269,722 with option A, and two projections: 16·32 + 2·32 and 32·64 + 2·64
        ("cifar_resnet20", 269_722 + 576 + 2_176),
        # Stem 27·16 + 32; blocks 2·9·16² + 64, 9·16·32 + 9·32² + 128 and 9·32·64 + 9·64² + 256; the same
        # projections; head 65·10
        ("cifar_resnet8", 464 + 4_672 + 13_952 + 55_552 + 576 + 2_176 + 650),
    ],
)
def test_parameters(name, parameters):
    assert sum(p.numel() for p in timm.create_model(name).parameters()) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [8, 27, 32])
def test_maps_are_as_feature_info_says(name, size):
    model = timm.create_model(name, in_chans=1, features_only=True).eval()
    maps = model(torch.randn(2, 1, size, size))
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, -(-size // reduction), -(-size // reduction))
        for channels, reduction in zip(
            model.feature_info.channels(), model.feature_info.reduction(), strict=True
        )
    ]
    assert model.feature_info.reduction() == [1, 1, 2, 4, 8][: len(maps)]


@pytest.mark.parametrize("name", NAMES)
def test_trains_from_8_pixels_up_and_says_what_it_is(name):
    model = timm.create_model(name, in_chans=1, num_classes=7)
    model(torch.randn(2, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    cfg = timm.create_model(name).pretrained_cfg
    assert (cfg["input_size"], cfg["num_classes"], cfg["first_conv"], cfg["classifier"]) == (
        (3, 32, 32),
        10,
        "conv1",
        "fc",
    )
    assert tuple(model.forward_features(torch.randn(2, 1, 32, 32)).shape[2:]) == cfg["pool_size"]


def test_intermediates_are_counted_over_the_stages_there_are():
    model, x = timm.create_model("cifar_resnet20").eval(), torch.randn(1, 3, 16, 16)
    last, maps = model.forward_intermediates(x)
    assert [m.shape[1] for m in maps] == [16, 16, 32, 64]
    assert torch.equal(last, model.forward_features(x))
    assert [m.shape[1] for m in model.forward_intermediates(x, 2, intermediates_only=True)] == [32, 64]


def test_there_are_no_pretrained_weights_and_timm_says_so():
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("cifar_resnet18", pretrained=True)
