"""Where attention can go in the networks that foveate knows."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from foveate import Site, sites
from foveate.errors import RequestError

WIDE = (256, 512, 1024, 2048)
NARROW = (64, 128, 256, 512)
TINY = (96, 192, 384, 768)


@pytest.mark.parametrize(
    ("network", "depths", "channels"),
    [
        (lambda: timm.create_model("resnet18"), (2, 2, 2, 2), NARROW),
        (lambda: timm.create_model("resnet50"), (3, 4, 6, 3), WIDE),
        (lambda: timm.create_model("convnext_tiny"), (3, 3, 9, 3), TINY),
        (lambda: timm.create_model("cifar_resnet20"), (3, 3, 3), (16, 32, 64)),
        (lambda: timm.create_model("cifar_resnet8"), (1, 1, 1), (16, 32, 64)),
        (torchvision.models.resnet18, (2, 2, 2, 2), NARROW),
        (torchvision.models.resnet50, (3, 4, 6, 3), WIDE),
        (torchvision.models.convnext_tiny, (3, 3, 9, 3), TINY),
    ],
)
def test_every_block_and_every_stage_end(network, depths, channels):
    model = network()
    expected = [
        (where, stage, width)
        for stage, (depth, width) in enumerate(zip(depths, channels, strict=True), start=1)
        for where in ["block"] * depth + ["stage"]
    ]
    found = sites(model)
    assert [(site.where, site.stage, site.channels) for site in found] == expected
    assert sites(model, "block") == [site for site in found if site.where == "block"]
    assert sites(model, "stage") == [site for site in found if site.where == "stage"]


TIMM = [
    "resnet18",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "regnetx_002",
    "regnety_002",
    "convnext_atto",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_050",
    "efficientnet_b0",
    "efficientnetv2_rw_t",
    "densenet121",
]
TORCHVISION = [
    "resnet18",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "convnext_tiny",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "shufflenet_v2_x0_5",
    "densenet121",
]


@pytest.mark.parametrize(
    ("create", "network"),
    [
        *((timm.create_model, name) for name in TIMM),
        *((torchvision.models.get_model, name) for name in TORCHVISION),
    ],
)
def test_sites_run_in_their_order_with_their_width_and_stages_end_where_maps_shrink(create, network):
    model = create(network).eval()
    seen = {}

    def see(site: Site, x: torch.Tensor) -> None:
        seen[site] = tuple(x.shape[1:3])

    for site in sites(model):
        module = model.get_submodule(site.path)
        if site.position == "after":
            module.register_forward_hook(lambda _, args, y, site=site: see(site, y))
        else:
            module.register_forward_pre_hook(lambda _, args, site=site: see(site, args[0]))
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    assert list(seen) == sites(model)
    assert {site: width for site, (width, _) in seen.items()} == {s: s.channels for s in sites(model)}
    heights = [height for site, (_, height) in seen.items() if site.where == "stage"]
    assert heights == sorted(set(heights), reverse=True)


@pytest.mark.parametrize(
    ("network", "blocks", "ends"),
    [
        (lambda: timm.create_model("regnety_002"), 13, ["s1.b1", "s2.b1", "s3.b4", "s4.b7"]),
        (
            lambda: timm.create_model("mobilenetv3_large_100"),
            15,
            ["blocks.0.0", "blocks.1.1", "blocks.2.2", "blocks.4.1", "blocks.5.2"],
        ),
        (
            torchvision.models.mobilenet_v2,
            17,
            ["features.1", "features.3", "features.6", "features.13", "features.17"],
        ),
        (
            torchvision.models.efficientnet_b0,
            16,
            ["features.1.0", "features.2.1", "features.3.1", "features.5.2", "features.7.0"],
        ),
        (torchvision.models.shufflenet_v2_x0_5, 16, ["stage2.3", "stage3.7", "stage4.3"]),
        (
            torchvision.models.densenet121,
            0,
            [*(f"features.transition{i}.norm" for i in (1, 2, 3)), "features.norm5"],
        ),
    ],
)
def test_blocks_and_ends_by_hand(network, blocks, ends):
    model = network()
    assert len(sites(model, "block")) == blocks
    assert [site.path for site in sites(model, "stage")] == ends


def test_block_that_adds_nothing_by_design_is_none():
    """The last stage of timm's MobileNetV3 is a plain convolution; EfficientNetV2's first one adds."""
    assert "blocks.5.0" not in {site.name for site in sites(timm.create_model("mobilenetv3_small_050"))}
    assert "blocks.0.0" in {site.name for site in sites(timm.create_model("efficientnetv2_rw_t"))}


def test_sites_say_where_they_are():
    assert sites(timm.create_model("resnet50"))[2:4] == [
        Site("layer1.2", 256, 1, "block", "after", "layer1.2.bn3"),
        Site("layer1", 256, 1, "stage", "after", "layer1.2"),
    ]
    assert sites(timm.create_model("convnext_tiny"))[2:4] == [
        Site("stages.0.blocks.2", 96, 1, "block", "before", "stages.0.blocks.2.drop_path"),
        Site("stages.0", 96, 1, "stage", "after", "stages.0.blocks.2"),
    ]


def test_network_inside_another_module_is_found():
    model = nn.Sequential(nn.Identity(), timm.create_model("cifar_resnet20"))
    assert [site.name for site in sites(model, "stage")] == ["1.layer1", "1.layer2", "1.layer3"]


def test_unknown_network_has_no_sites():
    assert sites(nn.Sequential(nn.Conv2d(3, 8, 3))) == []


def test_unknown_place_raises():
    with pytest.raises(RequestError, match=r"unknown place 'blocks'. Did you mean 'block'"):
        sites(nn.Identity(), "blocks")
