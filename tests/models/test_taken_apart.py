"""Networks that a detector has taken apart: their sites, and attention in the stages that it froze."""

import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.detection.backbone_utils import _mobilenet_extractor, _resnet_fpn_extractor

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.find import sites


def places(model: nn.Module, prefix: str = "") -> list[tuple[str, int, int]]:
    return [(site.path.removeprefix(prefix), site.stage, site.channels) for site in sites(model)]


def resnet_body(resnet: nn.Module) -> nn.Module:
    return _resnet_fpn_extractor(resnet, trainable_layers=3)


BODIES = {
    "resnet18": ("", resnet_body),
    "mobilenet_v3_small": ("features.", lambda network: _mobilenet_extractor(network, True, 3)),
    "mobilenet_v2": ("features.", lambda network: _mobilenet_extractor(network, True, 3)),
}


@pytest.mark.parametrize("name", BODIES)
def test_sites_of_a_detectors_body_are_those_of_the_network(name):
    before, take_apart = BODIES[name]
    network = torchvision.models.get_model(name)
    expected = places(network, before)
    assert places(take_apart(network), "body.") == expected


@pytest.mark.parametrize("name", ["resnet18", "regnety_002", "mobilenetv3_small_100", "efficientnet_b0"])
def test_sites_of_timms_features_are_those_of_the_network(name):
    assert places(timm.create_model(name, features_only=True)) == places(timm.create_model(name))


def test_sites_of_timms_flattened_features():
    network, features = (timm.create_model("convnext_atto", features_only=only) for only in (False, True))
    assert [(path.replace("stages_", "stages."), *rest) for path, *rest in places(features)] == places(
        network
    )


@pytest.mark.parametrize("mechanism", ["se", "eca"])  # eca has a convolution over channels, of stride (1,)
def test_attention_changes_no_site(mechanism):
    network = timm.create_model("mobilenetv3_small_100")
    expected = places(network)
    assert places(foveate.attach(network, mechanism, where="block")) == expected


def run(backbone: nn.Module) -> torch.Tensor:
    return backbone(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))["0"]


def test_attention_goes_into_a_detectors_backbone_and_learns_in_frozen_stages_too():
    torch.manual_seed(0)
    backbone = resnet_body(torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d))
    before = run(backbone)
    foveate.attach(backbone, "se", identity_init=True)
    assert torch.equal(run(backbone), before)
    run(backbone).sum().backward()
    gates = {path: module.gate.grad for path, module in attached(backbone).items()}
    assert gates["body.layer1.0.bn2.attention"] != 0
    assert all(gate is not None for gate in gates.values())
    assert not any(
        parameter.requires_grad
        for name, parameter in backbone.named_parameters()
        if "layer1" in name and ".attention." not in name
    )


def frozen_afterwards() -> nn.Module:
    torch.manual_seed(0)
    return resnet_body(foveate.attach(torchvision.models.resnet18(), "se", where="block"))


def test_attention_that_a_detector_froze_is_said_where_sites_are_listed():
    backbone = frozen_afterwards()
    with pytest.raises(
        RequestError, match=r"attention at 'body\.layer1\.0\.bn2' is frozen .requires_grad=False"
    ):
        foveate.sites(backbone)
    for module in attached(backbone).values():
        module.requires_grad_(True)
    assert len(foveate.sites(backbone, "block")) == 8


def test_frozen_attention_is_no_fault_where_nothing_learns():
    assert len(foveate.sites(frozen_afterwards().eval(), "block")) == 8
    assert len(foveate.sites(frozen_afterwards().requires_grad_(False), "block")) == 8


def test_attention_that_a_detector_froze_is_said_in_training():
    backbone = frozen_afterwards()
    with pytest.warns(UserWarning, match="parameters are frozen .requires_grad=False.*it will not learn"):
        run(backbone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with torch.no_grad():
            run(backbone)
        run(backbone.eval())
        for module in attached(backbone).values():
            module.requires_grad_(True)
        run(backbone.train())
        run(resnet_body(foveate.attach(torchvision.models.resnet18(), "simam")))  # has nothing to learn
