"""Attention in the backbone and the neck of each detector and segmenter."""

import pytest
import torch
from dense_networks import SMALL, answers, loss_of, small

import foveate
from foveate.errors import RequestError
from foveate.models.dense import attach_dense, neck_paths, neck_sites

BACKBONES = (
    "resnet18",
    "convnext_tiny",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "torchvision/resnet18",
    "cifar_resnet20",
)


def of_all(name: str, backbone: str) -> None:
    network = small(name, backbone)
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    expected = answers(name, network)
    attach_dense(network, "se", "both", where="stage", identity_init=True)
    found = foveate.attached(network)
    stages = foveate.sites(small(name, backbone), "stage")
    assert len(found) == len(stages) + len(neck_paths(network))
    # The weights are those of the network without attention, and so are its answers at the start.
    assert all(torch.equal(network.state_dict()[key], value) for key, value in weights.items())
    assert all(map(torch.equal, answers(name, network), expected))
    assert all(len(one) for one in expected)
    with foveate.capture(network) as maps:
        answers(name, network)
    assert maps.keys() == found.keys()
    loss_of(name, network).backward()
    assert all(module.gate.grad.abs().sum() > 0 for module in found.values())
    foveate.detach(network)
    assert network.state_dict().keys() == weights.keys()


@pytest.mark.parametrize("name", SMALL)
def test_attention_learns_in_backbone_and_neck_and_begins_as_nothing(name):
    of_all(name, "resnet18" if name == "fpn" else "cifar_resnet8")


@pytest.mark.full
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_attention_learns_in_each_backbone(name, backbone):
    if (name, backbone) == ("fpn", "cifar_resnet20"):
        with pytest.raises(RequestError, match="needs maps of strides"):
            small(name, backbone)
    else:
        of_all(name, backbone)


@pytest.mark.parametrize(
    ("name", "neck"),
    [
        ("fasterrcnn", [f"backbone.fpn.layer_blocks.{number}.0" for number in range(3)]),
        ("deeplabv3", ["decoder.layers.3"]),
        ("deeplabv3plus", ["decoder.block2.2"]),
        ("unet", ["decoder.blocks.0", "decoder.blocks.1"]),
    ],
)
def test_the_neck_alone_by_its_sites_or_by_their_paths(name, neck):
    network = small(name, "cifar_resnet8")
    assert neck_paths(network) == neck
    attach_dense(network, "eca", "neck")
    assert list(foveate.attached(network)) == [f"{path}.attention" for path in neck]
    # The width that is stated is the one that a forward pass finds.
    measured = foveate.attach(small(name, "cifar_resnet8"), "eca", at=neck)
    widths = [module.placement.channels for module in foveate.attached(measured).values()]
    assert widths == [site.channels for site in neck_sites(network)]


def test_arguments_of_the_backbone_belong_to_no_neck():
    network = small("unet", "cifar_resnet8")
    with pytest.raises(RequestError, match="leave them out"):
        attach_dense(network, "se", "neck", where="stage")
    with pytest.raises(RequestError, match="unknown part 'head'"):
        attach_dense(network, "se", "head")
    assert not foveate.attached(network)


def test_an_error_in_the_neck_takes_the_attention_of_the_backbone_out_again():
    network = small("unet", "cifar_resnet8", decoder_channels=[8, 6])
    with pytest.raises(RequestError, match="decoder"):
        attach_dense(network, "se", "both", reduction=8)
    assert not foveate.attached(network)


def test_a_classifier_has_no_neck():
    import timm

    with pytest.raises(RequestError, match="no neck that foveate knows"):
        neck_paths(timm.create_model("cifar_resnet8"))
