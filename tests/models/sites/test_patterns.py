"""Choosing places by names, endings and regular expressions."""

import pytest
import timm

import foveate
from foveate.errors import RequestError
from foveate.models import attached


def chosen(**arguments) -> list[str]:
    model = foveate.attach(timm.create_model("resnet18"), "eca", **arguments)
    return [path.removesuffix(".attention") for path in attached(model)]


@pytest.mark.parametrize(
    ("at", "paths"),
    [
        ("layer1.0.conv2", ["layer1.0.conv2"]),
        (["layer1.0.conv2", "layer4.1.bn1"], ["layer1.0.conv2", "layer4.1.bn1"]),
        ("conv2", [f"layer{stage}.{block}.conv2" for stage in (1, 2, 3, 4) for block in (0, 1)]),
        (["1.conv2", "0.bn1"], [f"layer{s}.{p}" for s in (1, 2, 3, 4) for p in ("0.bn1", "1.conv2")]),
        (r"layer[23]\.\d\.bn2", ["layer2.0.bn2", "layer2.1.bn2", "layer3.0.bn2", "layer3.1.bn2"]),
        (["conv1", "layer1.0.bn2"], ["conv1", "layer1.0.bn2"]),  # a path comes before an ending
    ],
)
def test_a_path_an_ending_or_a_regular_expression(at, paths):
    assert chosen(at=at) == paths


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"exclude": ["layer1", "layer2", "layer4.1"]}, ["layer3.0.bn2", "layer3.1.bn2", "layer4.0.bn2"]),
        ({"at": "conv2", "exclude": r"layer[123]"}, ["layer4.0.conv2", "layer4.1.conv2"]),
        ({"at": lambda site: site.channels > 200, "exclude": "layer3"}, ["layer4.0.bn2", "layer4.1.bn2"]),
        ({"where": "stage", "exclude": ["layer1", "layer4"]}, ["layer2.1", "layer3.1"]),
    ],
)
def test_exclude_leaves_out_a_module_and_all_inside_of_it(arguments, paths):
    assert chosen(**arguments) == paths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": "conv9"}, r"unknown module of ResNet 'conv9'.*Did you mean 'conv[12]'"),
        ({"at": r"layr1\..*"}, r"matches no whole path\. Did you mean 'layer1"),
        ({"at": "conv("}, r"no regular expression: missing \), .*Did you mean 'conv[12]'"),
        ({"exclude": "lay"}, "unknown module of ResNet 'lay'"),
        ({"exclude": "layer."}, "exclude='layer.' leaves none of the chosen sites"),
        ({"at": "conv2", "exclude": "conv2"}, "exclude='conv2' leaves none"),
        ({"exclude": [5]}, r"exclude=\[5\]: expected paths of modules"),
    ],
)
def test_what_finds_nothing_names_the_nearest(arguments, message):
    model = timm.create_model("resnet18")
    with pytest.raises(RequestError, match=message):
        foveate.attach(model, "eca", **arguments)
    assert attached(model) == {}


def test_attention_that_is_there_is_no_place():
    model = foveate.attach(timm.create_model("resnet18"), "se", at="layer1.0.conv1")
    with pytest.raises(RequestError, match="unknown module of ResNet 'reduce'"):
        foveate.attach(model, "eca", at="reduce")
