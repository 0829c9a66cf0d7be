"""The gates of attention are what the equations say, and replacing them changes that and nothing else."""

from collections.abc import Callable, Mapping

import pytest
import timm
import torch
from torch import Tensor, nn

import foveate
from foveate.attention import list_attention
from foveate.errors import RequestError
from foveate.models.sites.gates import (
    FACTORS,
    Gate,
    changed_gates,
    constant_gates,
    find_gates,
    recorded_gates,
    swapped_gates,
)

IMAGES = torch.randn(3, 3, 16, 12, generator=torch.Generator().manual_seed(0))
Found = Mapping[str, Tensor]


EQUATIONS: dict[str, Callable[[Found], Tensor]] = {
    "bam": lambda found: 1 + found["gate"],
    "ca": lambda found: found["height"] * found["width"],
    "cbam": lambda found: found["channel"] * found["spatial"],
    "dmsca": lambda found: (
        found["A_c"]
        * (found["w_0"] + found["w_1"] * torch.sigmoid(found["F_multi"] * found["A_dir"]))
        * found["alpha"]
    ),
    "eca": lambda found: found["channel"],
    "gam": lambda found: found["channel"] * found["spatial"],
    "nam": lambda found: found["gate"],
    "se": lambda found: found["channel"],
    "sgfa_ca": lambda found: found["M_c"],
    "simam": lambda found: found["gate"],
    "triplet": lambda found: (
        (
            found["channel_width"].permute(0, 2, 1, 3)
            + found["height_channel"].permute(0, 3, 2, 1)
            + found["height_width"]
        )
        / 3
    ),
}
"""The gate of a mechanism from the intermediates of its equations, written down again."""
BY_FACTOR = {"scpa": ("M_s", "M_c"), "sgu": ("gate",), "sgfa": ("M_s", "M_c", "gate")}
WITHOUT = {"a2"}


def network(name: str, **options: object) -> nn.Module:
    """A network whose maps are not 0 at any site, as after training."""
    torch.manual_seed(0)
    model = timm.create_model("cifar_resnet8", num_classes=4)
    foveate.attach(model, name, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    for attention in foveate.attached(model).values():
        if isinstance(getattr(attention, "gate", None), nn.Parameter):
            nn.init.constant_(attention.gate, 0.4)
    return model.eval()


def options_of(name: str) -> dict[str, int]:
    small = {"bam", "cbam", "dmsca", "gam", "se", "scpa", "sgfa", "sgfa_ca"}
    return {"reduction": 8} if name in small else {}


def test_every_mechanism_has_its_equation_here():
    assert sorted([*EQUATIONS, *BY_FACTOR, *WITHOUT]) == list_attention()


@pytest.mark.parametrize("identity_init", [False, True])
@pytest.mark.parametrize("name", EQUATIONS)
def test_the_gate_is_that_of_the_equations(name, identity_init):
    model = network(name, identity_init=identity_init, **options_of(name))
    found = find_gates(model, IMAGES)
    assert found.excluded == {}
    assert [gate.site for gate in found.gates] == [*foveate.attached(model)]
    with torch.inference_mode():
        with foveate.capture(model) as maps:
            expected = model(IMAGES)
        with recorded_gates(model, found.gates) as gates:
            answer = model(IMAGES)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-6)
    for gate in found.gates:
        value = EQUATIONS[name](maps[gate.site])
        if identity_init:
            value = 1 + 0.4 * (value - 1)
        assert gates[gate].shape == (
            3,
            model.get_submodule(gate.site).placement.channels,
            *gates[gate].shape[2:],
        )
        torch.testing.assert_close(gates[gate], value.expand_as(gates[gate]), rtol=2e-5, atol=0)


@pytest.mark.parametrize("identity_init", [False, True])
@pytest.mark.parametrize("name", BY_FACTOR)
def test_gates_inside_of_a_module_are_its_intermediates(name, identity_init):
    model = network(name, identity_init=identity_init, **options_of(name))
    found = find_gates(model, IMAGES)
    sites = [*foveate.attached(model)]
    assert found.gates == tuple(Gate(site, factor) for site in sites for factor in BY_FACTOR[name])
    with torch.inference_mode():
        with foveate.capture(model) as maps:
            expected = model(IMAGES)
        with recorded_gates(model, found.gates) as gates:
            assert torch.equal(model(IMAGES), expected)
    for gate in found.gates:
        assert torch.equal(gates[gate], maps[gate.site][gate.factor])


def test_a_module_that_mixes_channels_into_its_input_has_no_gate():
    found = find_gates(network("a2"), IMAGES)
    assert found.gates == ()
    assert [*found.excluded] == ["layer2.0.attention", "layer3.0.attention"]
    assert all("no product of the input and a gate" in reason for reason in found.excluded.values())


def test_where_the_map_is_0_the_gate_is_there_all_the_same():
    """At a stage's end half of the map is 0, and another image is not 0 there."""
    model = network("cbam", where="stage", **options_of("cbam"))
    gates = find_gates(model, IMAGES).gates
    with torch.inference_mode(), foveate.capture(model) as maps, recorded_gates(model, gates) as found:
        model(IMAGES)
    for gate in gates:
        expected = EQUATIONS["cbam"](maps[gate.site])
        torch.testing.assert_close(found[gate], expected.expand_as(found[gate]), rtol=2e-5, atol=0)


@pytest.mark.parametrize("name", ["se", "dmsca", "sgfa"])
def test_channels_last_and_tokens_are_maps_to_a_gate(name):
    for backbone, options in (("convnext_atto", {}), ("vit_tiny_patch16_224", {"img_size": 32})):
        torch.manual_seed(0)
        model = timm.create_model(backbone, num_classes=3, **options)
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("gamma"):  # the layer scale, 1e-6 before training, hides all blocks
                nn.init.ones_(parameter)
        foveate.attach(model, name, where="block").eval()
        images = torch.randn(2, 3, 32, 32)
        gates = find_gates(model, images).gates[-3:]
        with torch.inference_mode():
            with foveate.capture(model):
                expected = model(images)
            with changed_gates(model, dict.fromkeys(gates, lambda gate: gate)):
                torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-6)
            with constant_gates(model, {gate: torch.zeros(1, 1, 1) for gate in gates}):
                assert (model(images) - expected).abs().max() > 1e-4


class Small(nn.Module):
    """A network small enough to be computed by hand."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.attention = attention
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(self.stem(x)).mean((2, 3)))


@pytest.mark.parametrize("name", ["se", "simam"])
def test_a_constant_and_another_images_gate_are_what_multiplies_the_map(name):
    torch.manual_seed(0)
    model = Small(foveate.create_attention(name, 8, **({"reduction": 2} if name == "se" else {}))).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)  # gates that differ from image to image
    (gate,) = find_gates(model, IMAGES).gates
    with torch.inference_mode():
        maps = model.stem(IMAGES)
        values = model.attention(maps) / maps
        mean = values.mean(dim=0)
        with constant_gates(model, {gate: mean}):
            torch.testing.assert_close(model(IMAGES), model.head((maps * mean).mean((2, 3))))
        others = values[[1, 2, 0]]
        with swapped_gates(model, [gate]):
            torch.testing.assert_close(model(IMAGES), model.head((maps * others).mean((2, 3))))
            with pytest.raises(AssertionError):
                torch.testing.assert_close(model(IMAGES), model.head((maps * values).mean((2, 3))))


def test_only_the_factor_that_is_named_is_replaced():
    torch.manual_seed(0)
    scpa = foveate.create_attention("scpa", 8, reduction=2)
    model = Small(scpa).eval()
    spatial, _ = find_gates(model, IMAGES).gates
    with torch.inference_mode():
        maps = model.stem(IMAGES)
        fused = scpa.fuse(torch.cat([0.25 * maps, scpa.channel(maps)], dim=1))
        with constant_gates(model, {spatial: torch.full((1, 1, 1), 0.25)}):
            torch.testing.assert_close(model(IMAGES), model.head((maps + fused).mean((2, 3))))


def test_the_model_is_as_before_even_after_an_exception():
    model = network("dmsca", reduction=8)
    gates = find_gates(model, IMAGES).gates
    before, modules = model(IMAGES), {name: id(module) for name, module in model.named_modules()}
    with pytest.raises(KeyError), constant_gates(model, {gate: torch.zeros(1) for gate in gates}):
        assert not torch.equal(model(IMAGES), before)
        raise KeyError
    assert {name: id(module) for name, module in model.named_modules()} == modules
    assert torch.equal(model(IMAGES), before)
    assert not any(module._forward_pre_hooks for module in model.modules())


class Sigmoid(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid()


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


def test_classes_of_ones_own_are_tested_for_a_gate():
    model = network(Sigmoid)
    gates = find_gates(model, IMAGES).gates
    with torch.inference_mode(), recorded_gates(model, gates) as found:
        model(IMAGES)
    assert len(gates) == 3
    assert all(0 < value.min() < value.max() < 1 for value in found.values())
    assert [*find_gates(network(Residual), IMAGES).excluded] == [gate.site for gate in gates]


def test_a_map_of_nothing_does_not_hide_what_a_module_does():
    """Before training, timm's last norm of a block is 0, and so is whatever a convolution makes of it."""
    model = foveate.attach(timm.create_model("cifar_resnet8", num_classes=4), Residual).eval()
    assert find_gates(model, IMAGES).gates == ()


def test_what_has_no_gate_to_find_is_refused_or_excluded():
    with pytest.raises(RequestError, match="CifarResNet has no attention, and so no gate"):
        find_gates(timm.create_model("cifar_resnet8"), IMAGES)
    with pytest.raises(RequestError, match="SE is the attention itself"):
        find_gates(foveate.create_attention("se", 3, reduction=1), IMAGES)
    twice = Small(foveate.create_attention("se", 8, reduction=2)).eval()
    twice.head = nn.Sequential(twice.head)
    twice.forward = lambda x: twice.head(twice.attention(twice.attention(twice.stem(x))).mean((2, 3)))
    assert find_gates(twice, IMAGES).excluded == {
        "attention": "it runs 2 times in a forward pass, expected once"
    }


def test_factors_are_of_foveates_mechanisms():
    assert {kind.__name__.lower(): factors for kind, factors in FACTORS.items()} == BY_FACTOR
