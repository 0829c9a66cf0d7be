"""A layer that takes the factors of a site's channels gives the network that has them at the site."""

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

import foveate
from foveate.models.folding.absorbing import Layer, find_layers, scale_layers
from foveate.models.folding.scaling import scale_input, scale_output
from foveate.models.sites.gates import ConstantGate, find_gates

TOLERANCE = 1e-12
"""Of the largest output, in float64."""


def random_network(name: str, **arguments: object) -> nn.Module:
    """A network in float64 whose norms and layer scales are those of no initialisation."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **arguments)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(getattr(module, "gamma", None), nn.Parameter):
            nn.init.uniform_(module.gamma, 0.5, 1.5)
    return model.double().eval()


def answers(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(images.clone())


def with_constants(model: nn.Module, constants: dict[str, Tensor]) -> nn.Module:
    """A copy in which x ⊙ constant stands in the place of the attention, written down again."""
    changed = copy.deepcopy(model)
    for path, constant in constants.items():
        owner = changed.get_submodule(path)
        gate = ConstantGate(constant[:, None, None])
        gate.placement = owner.attention.placement
        owner.attention = gate
    return changed


FIRST_BLOCK = {"stages": 1}
NETWORKS = {
    "a batch norm": ("cifar_resnet8", {}, {}, Layer("layer1.0.bn2", "output")),
    "a linear layer before a layer scale": (
        "convnext_atto",
        {},
        FIRST_BLOCK,
        Layer("stages.0.blocks.0.mlp.fc2", "output"),
    ),
    "a batch norm inside of a unit": ("regnetx_002", {}, FIRST_BLOCK, Layer("s1.b1.conv3.bn", "output")),
    "a batch norm that reads the map": (
        "densenet121",
        {},
        {"where": "stage", "stages": 1},
        Layer("features.transition1.norm", "input"),
    ),
    "the head behind a pooling": (
        "cifar_resnet8",
        {},
        {"where": "stage", "stages": 3},
        Layer("fc", "input"),
    ),
    "a batch norm before a ReLU": (
        "cifar_resnet8",
        {},
        {"at": "layer1.0.act1"},
        Layer("layer1.0.bn1", "output"),
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_layer_takes_the_factors_to_the_last_digits(case: str) -> None:
    name, arguments, place, expected = NETWORKS[case]
    model = random_network(name, **arguments)
    foveate.attach(model, "eca", **place)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    path = next(iter(foveate.attached(model))).removesuffix(".attention")
    channels = model.get_submodule(f"{path}.attention").placement.channels
    factors = 0.5 + torch.rand(channels, dtype=torch.float64)
    kept = [one.removesuffix(".attention") for one in foveate.attached(model)][1:]
    found = find_layers(model, images, {path: factors}, kept)[path]
    assert found == (expected,)
    wanted = answers(with_constants(model, {path: factors}), images)
    untouched = copy.deepcopy(model)
    scale_layers(model, found, factors)
    model = with_constants(model, {path: torch.ones(channels, dtype=torch.float64)})
    got = answers(model, images)
    assert (got - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    plain = answers(untouched, images)
    assert (got - plain).abs().max() > 1e-6 * wanted.abs().max()  # the factors do something


def test_all_readers_of_a_map_take_the_factors_together() -> None:
    model = foveate.attach(random_network("cifar_resnet8"), "eca", where="stage", stages=1)
    factors = 0.5 + torch.rand(16, dtype=torch.float64)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found = find_layers(model, images, {"layer1.0": factors}, ())["layer1.0"]
    assert found == (Layer("layer2.0.conv1", "input"), Layer("layer2.0.downsample.0", "input"))
    wanted = answers(with_constants(model, {"layer1.0": factors}), images)
    scale_layers(model, found, factors)
    foveate.detach(model)
    assert (answers(model, images) - wanted).abs().max() <= TOLERANCE * wanted.abs().max()


def test_a_negative_factor_does_not_pass_a_relu() -> None:
    model = foveate.attach(random_network("cifar_resnet8"), "eca", at="layer1.0.act1")
    factors = torch.linspace(-0.5, 1, 16, dtype=torch.float64)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    (layer,) = find_layers(model, images, {"layer1.0.act1": factors}, ())["layer1.0.act1"]
    assert layer == Layer("layer1.0.conv2", "input")


def test_the_tokens_of_a_vit_with_a_class_token_have_no_layer() -> None:
    """The class token passes attention by: no layer scales the others alone."""
    model = foveate.attach(
        random_network("vit_tiny_patch16_224", img_size=32), "eca", at="blocks.0.drop_path2"
    )
    factors = 0.5 + torch.rand(192, dtype=torch.float64)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert find_layers(model, images, {"blocks.0.drop_path2": factors}, ()) == {"blocks.0.drop_path2": ()}


def test_nothing_is_moved_past_attention_that_stays() -> None:
    model = random_network("cifar_resnet8")
    foveate.attach(model, "eca", at=["layer1.0.bn1", "layer1.0.act1"])
    factors = {"layer1.0.act1": 0.5 + torch.rand(16, dtype=torch.float64)}
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    (alone,) = find_layers(model, images, factors, ())["layer1.0.act1"]
    (beside,) = find_layers(model, images, factors, ["layer1.0.bn1"])["layer1.0.act1"]
    assert (alone, beside) == (Layer("layer1.0.bn1", "output"), Layer("layer1.0.conv2", "input"))


def test_a_branch_that_starts_at_0_shows_nothing_and_its_norm_still_takes_the_factors() -> None:
    """timm's zero_init_last: the outputs do not depend on what comes before the norm, either."""
    model = timm.create_model("cifar_resnet8", num_classes=5).double().eval()
    assert not model.layer1[0].bn2.weight.any()
    foveate.attach(model, "eca", stages=1)
    factors = 0.5 + torch.rand(16, dtype=torch.float64)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert find_layers(model, images, {"layer1.0.bn2": factors}, ()) == {
        "layer1.0.bn2": (Layer("layer1.0.bn2", "output"),)
    }
    assert find_gates(model, images).gates  # it is attention like any other


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 9, 3, padding=1),
        nn.Conv2d(6, 12, 3, padding=1, groups=3),
        nn.Conv2d(6, 12, 3, padding=1, groups=6),
        nn.BatchNorm2d(6),
    ],
    ids=["convolution", "groups", "depthwise", "batch norm"],
)
def test_the_input_of_a_layer_is_scaled_by_its_own_weights(layer: nn.Module) -> None:
    layer = layer.double().eval()
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2)
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    factors = torch.tensor([0.0, -1.5, 0.25, 1.0, 3.0, 0.5], dtype=torch.float64)
    maps = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        wanted = layer(maps * factors[:, None, None])
        scale_input(layer, factors)
        torch.testing.assert_close(layer(maps), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", [nn.Linear(4, 6), nn.LayerNorm(6)], ids=["linear", "layer norm"])
def test_the_output_of_a_layer_is_scaled_by_its_own_weights(layer: nn.Module) -> None:
    layer = layer.double()
    factors = torch.rand(6, dtype=torch.float64)
    x = torch.randn(3, 4 if isinstance(layer, nn.Linear) else 6, dtype=torch.float64)
    with torch.no_grad():
        wanted = layer(x) * factors
        scale_output(layer, factors)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-12, atol=1e-12)
