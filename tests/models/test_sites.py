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


@pytest.mark.parametrize("create", [timm.create_model, torchvision.models.get_model])
@pytest.mark.parametrize("network", ["resnet18", "resnet50", "convnext_tiny"])
def test_channels_are_those_of_the_maps_at_the_sites(create, network):
    model = create(network).eval()
    seen = {}
    for site in sites(model):
        module = model.get_submodule(site.path)
        if site.position == "after":
            module.register_forward_hook(lambda _, args, y, site=site: seen.update({site: y.shape[1]}))
        else:
            module.register_forward_pre_hook(lambda _, args, site=site: seen.update({site: args[0].shape[1]}))
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert seen == {site: site.channels for site in sites(model)}


def test_sites_say_where_they_are():
    assert sites(timm.create_model("resnet50"))[2:4] == [
        Site("layer1.2", 256, 1, "block", "after", "layer1.2.bn3"),
        Site("layer1", 256, 1, "stage", "after", "layer1.2"),
    ]
    assert sites(timm.create_model("convnext_tiny"))[2:4] == [
        Site("stages.0.blocks.2", 96, 1, "block", "before", "stages.0.blocks.2.drop_path"),
        Site("stages.0", 96, 1, "stage", "after", "stages.0"),
    ]


def test_network_inside_another_module_is_found():
    model = nn.Sequential(nn.Identity(), timm.create_model("cifar_resnet20"))
    assert [site.name for site in sites(model, "stage")] == ["1.layer1", "1.layer2", "1.layer3"]


def test_unknown_network_has_no_sites():
    assert sites(nn.Sequential(nn.Conv2d(3, 8, 3))) == []


def test_unknown_place_raises():
    with pytest.raises(RequestError, match=r"unknown place 'blocks'. Did you mean 'block'"):
        sites(nn.Identity(), "blocks")
