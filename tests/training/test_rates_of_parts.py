"""Parts of a network that learn at rates of their own."""

from functools import partial

import pytest
import torch
from torch import nn

import foveate
from foveate.models.backbones.create import create_backbone
from foveate.models.dense import create_detector, create_segmenter
from foveate.records.base import Json
from foveate.training.parts import part_of_parameters
from foveate.training.recipe import Recipe
from foveate.training.schedule import make_optimizer


def network() -> nn.Module:
    return foveate.attach(create_backbone("cifar_resnet8", classes=2), "se", identity_init=True)


def test_each_parameter_belongs_to_one_part() -> None:
    model = network()
    parts = part_of_parameters(model)
    of_name = {name: parts[id(parameter)] for name, parameter in model.named_parameters()}
    assert {name for name, part in of_name.items() if part == "head"} == {"fc.weight", "fc.bias"}
    attention = {name for name, part in of_name.items() if part == "attention"}
    assert attention == {name for name in of_name if ".attention." in name}
    assert any(name.endswith("attention.gate") for name in attention)
    assert of_name["conv1.weight"] == "backbone"


def test_a_distilled_transformer_has_two_heads() -> None:
    with torch.device("meta"):
        model = create_backbone("deit_tiny_distilled_patch16_224", classes=2)
    parts = part_of_parameters(model)
    heads = {name for name, parameter in model.named_parameters() if parts[id(parameter)] == "head"}
    assert heads == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


@pytest.mark.parametrize(
    ("build", "head"),
    [
        (partial(create_detector, "fasterrcnn", image_size=64, size="small"), "rpn.head.cls_logits.bias"),
        (partial(create_segmenter, "unet"), "decoder.blocks.0.conv1.0.weight"),
    ],
)
def test_the_head_of_a_detector_or_segmenter_is_all_but_backbone_and_attention(build, head) -> None:
    model = build("cifar_resnet8", classes=2)
    paths = {name for name, module in model.named_modules() if type(module).__name__ == "CifarResNet"}
    if not paths:  # timm's network of features
        paths = {"backbone.body" if hasattr(model, "roi_heads") else "encoder.model"}
    (path,) = paths
    foveate.attach(model, "se")
    parts = part_of_parameters(model)
    of_name = {name: parts[id(parameter)] for name, parameter in model.named_parameters()}
    attention = {name for name in of_name if ".attention." in name}
    assert attention == {name for name, part in of_name.items() if part == "attention"}
    backbone = {name for name in of_name if name.startswith(f"{path}.")} - attention
    assert backbone == {name for name, part in of_name.items() if part == "backbone"}
    assert of_name[head] == "head"


@pytest.mark.parametrize("decayed", [False, True])
def test_parts_take_their_share_of_the_rate_and_keep_their_decay(decayed: bool) -> None:
    model = network()
    recipe = Recipe(
        learning_rate=0.2, backbone_rate=0.1, head_rate=2, weight_decay=0.01, decay_norm_and_bias=decayed
    )
    optimizer = make_optimizer(model, recipe)
    parts = part_of_parameters(model)
    rates = {"backbone": 0.02, "attention": 0.2, "head": 0.4}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == pytest.approx(rates[parts[id(parameter)]])
            assert group["weight_decay"] == (0.01 if decayed or parameter.ndim > 1 else 0)
            seen.add(id(parameter))
    assert seen == set(map(id, model.parameters()))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4)  # the one that is recorded


def test_one_rate_leaves_the_groups_as_they_were() -> None:
    groups = make_optimizer(network(), Recipe()).param_groups
    assert [group["lr"] for group in groups] == [0.1, 0.1]


def test_a_step_moves_each_part_by_its_rate() -> None:
    model = network()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    recipe = Recipe(
        optimizer="momentum",
        learning_rate=0.5,
        momentum=0,
        weight_decay=0,
        backbone_rate=0.1,
        attention_rate=0.2,
    )
    optimizer = make_optimizer(model, recipe)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: float((before[name] - value.detach()).mean()) for name, value in model.named_parameters()}
    assert moved["conv1.weight"] == pytest.approx(0.05, rel=1e-4)
    assert moved["layer1.0.bn2.attention.gate"] == pytest.approx(0.1, rel=1e-4)
    assert moved["fc.bias"] == pytest.approx(0.5, rel=1e-4)


def test_recipes_without_rates_are_written_as_before() -> None:
    written: dict[str, Json] = Recipe(head_rate=3).model_dump(mode="json")
    assert written["head_rate"] == 3
    assert not {"backbone_rate", "attention_rate"} & written.keys()
    assert Recipe.model_validate(written) == Recipe(head_rate=3)
