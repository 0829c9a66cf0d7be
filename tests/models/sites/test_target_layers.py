"""The layer that class activation maps are made of, in every family that attach knows and in others."""

import pytest
import timm
import torch
import torchvision
from families import FAMILIES, build, without_memory
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.evaluation.cam import cam_maps
from foveate.evaluation.feature_maps import feature_map
from foveate.models.sites.target_layers import default_layer, find_layer

ENDS = {
    ("ResNet", "timm"): "layer4.1",
    ("ResNet", "torchvision"): "layer4.1",
    ("ResNeXt", "timm"): "layer4.2",
    ("ResNeXt", "torchvision"): "layer4.2",
    ("Wide-ResNet", "timm"): "layer4.2",
    ("Wide-ResNet", "torchvision"): "layer4.2",
    ("RegNet", "timm"): "s4.b7",
    ("RegNet", "torchvision"): "trunk_output.block4.block4-5",
    ("ConvNeXt", "timm"): "stages.3.blocks.1",
    ("ConvNeXt", "torchvision"): "features.7.2",
    ("MobileNetV2", "timm"): "blocks.6.0",
    ("MobileNetV2", "torchvision"): "features.17",
    ("MobileNetV3", "timm"): "blocks.4.2",
    ("MobileNetV3", "torchvision"): "features.11",
    ("EfficientNet", "timm"): "blocks.6.0",
    ("EfficientNet", "torchvision"): "features.7.0",
    ("ShuffleNetV2", "torchvision"): "stage4.3",
    ("DenseNet", "timm"): "features.norm5",
    ("DenseNet", "torchvision"): "features.norm5",
    ("ViT", "timm"): "blocks.11.norm1",
    ("ViT", "torchvision"): "encoder.layers.encoder_layer_11.ln_1",
    ("Swin", "timm"): "norm",
    ("Swin", "torchvision"): "permute",
    ("MaxViT", "timm"): "stages.3.blocks.1",
    ("CoAtNet", "timm"): "stages.3.blocks.1",
    ("EfficientFormer", "timm"): "stages.3.blocks.4",
    ("EfficientFormerV2", "timm"): "stages.3.blocks.3",
    ("EfficientViT (MIT)", "timm"): "stages.3.blocks.2.local_module",
    ("EfficientViT (MSRA)", "timm"): "stages.2.blocks.2",
    ("FastViT", "timm"): "stages.3.blocks.1",
    ("MobileViT", "timm"): "stages.4.1",
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("maxvit_rmlp_pico_rw_256", {"img_size": 64}),
        ("coatnet_pico_rw_224", {"img_size": 64}),
        ("efficientformer_l1", {}),
        ("mobilevit_xxs", {}),
    ],
)
def test_heat_maps_of_hybrids_have_the_grid_of_the_layer(name, arguments):
    pytest.importorskip("pytorch_grad_cam")
    torch.manual_seed(0)
    side = arguments.get("img_size", 224)
    model = foveate.attach(timm.create_model(name, **arguments).eval(), "eca", where="block")
    images = torch.rand(1, 3, side, side)
    maps, _ = cam_maps(model, default_layer(model, images), images)
    assert maps.shape == (1, side, side)
    assert maps.isfinite().all()


def test_maps_inside_of_maxvits_transformers_have_channels_last():
    model = timm.create_model("maxvit_rmlp_pico_rw_256", img_size=64).eval()
    for layer in ("stages.0.blocks.0.attn_grid", "stages.0.blocks.0.attn_grid.drop_path2"):
        assert feature_map(model, layer, torch.zeros(1, 16, 8, 32), (64, 64)).shape == (1, 32, 16, 8)
    assert feature_map(model, "stages.0.blocks.0", torch.zeros(1, 32, 16, 8), (64, 64)).shape == (
        1,
        32,
        16,
        8,
    )


@pytest.mark.parametrize(("family", "library"), FAMILIES)
def test_it_is_the_end_of_the_last_stage(family, library):
    assert default_layer(without_memory(family, library)) == ENDS[family, library]


def test_a_stage_of_one_pixel_is_passed_over():
    model = build("ResNet", "timm")
    assert default_layer(model, torch.zeros(1, 3, 64, 64)) == "layer4.1"
    assert default_layer(model, torch.zeros(1, 3, 32, 32)) == "layer3.1"


@pytest.mark.parametrize(
    ("family", "library", "layer"),
    [("Swin", "timm", "layers.2.blocks.5"), ("Swin", "torchvision", "features.5.5")],
)
def test_a_stage_of_one_pixel_is_passed_over_with_channels_last_too(family, library, layer):
    model = build(family, library)
    images = torch.zeros(1, 3, 32, 32)
    assert default_layer(model, images) == layer
    assert feature_map(model, layer, torch.zeros(1, 2, 2, 384), (32, 32)).shape == (1, 384, 2, 2)
    assert default_layer(model, torch.zeros(1, 3, 64, 64)) == ENDS[family, library]


def test_attention_at_the_end_of_a_stage_does_not_move_it():
    model = foveate.attach(timm.create_model("resnet18").eval(), "sgfa", where="stage")
    assert default_layer(model) == default_layer(model, torch.zeros(1, 3, 64, 64)) == "layer4.1"
    assert default_layer(torch.compile(model)) == "layer4.1"


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (lambda: timm.create_model("vit_tiny_patch16_224", depth=2), "blocks.1.norm1"),
        (
            lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32),
            "encoder.layers.encoder_layer_1.ln_1",
        ),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1)), "norm"),
        (lambda: torchvision.models.swin_t(), "permute"),
        (lambda: torchvision.models.squeezenet1_1(), "classifier.2"),
    ],
    ids=["timm's ViT", "torchvision's ViT", "timm's Swin", "torchvision's Swin", "SqueezeNet"],
)
def test_other_networks(model, layer):
    assert default_layer(model().eval()) == layer


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.BatchNorm2d(4)
        self.heads = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads(self.second(self.first(x)))


def test_elsewhere_the_last_map_counts_and_the_model_is_as_it_was():
    model = Own()
    assert default_layer(model) == "second"
    assert model.second.training
    assert model.second.num_batches_tracked == 0
    assert not any(module._forward_hooks for module in model.modules())


def test_tensors_by_head_are_no_maps():
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.num_heads, self.drop = 2, nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.drop(x.flatten(2).unflatten(1, (2, 2))).flatten(1)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Heads())
    assert default_layer(model) == "0"


def test_without_a_map_the_layers_to_choose_from_are_named():
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.embed(x.flatten(2).transpose(1, 2)).mean(dim=1)

    with pytest.raises(RequestError, match=r"no layer of Tokens gives a map .* --layer: embed"):
        default_layer(Tokens())
    with pytest.raises(RequestError, match=r"for images of 1×1"):
        default_layer(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten()), torch.zeros(1, 3, 1, 1))
    with pytest.raises(RequestError, match="could not be run to look for a layer"):
        default_layer(nn.Sequential(nn.Linear(7, 4)))


def test_a_layer_by_name():
    assert find_layer(build("ResNet", "timm"), "layer2.0.conv1") == "layer2.0.conv1"
    with pytest.raises(RequestError, match=r"unknown layer of ResNet 'layer5'. Did you mean 'layer"):
        find_layer(build("ResNet", "timm"), "layer5")
