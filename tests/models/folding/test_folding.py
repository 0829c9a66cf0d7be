"""Attention that is a constant is folded while the score stays; what reacts is kept."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

import foveate
from foveate.attention.se import SE
from foveate.errors import RequestError
from foveate.models.folding.folding import FoldedSite
from foveate.models.sites.channel_scale import ChannelScale
from foveate.models.sites.gates import constant_gates, recorded_gates

FOLDABLE = ("bam", "ca", "cbam", "dmsca", "eca", "gam", "nam", "se", "sgfa_ca", "simam", "triplet")
SMALL = {"bam", "cbam", "dmsca", "gam", "se", "sgfa_ca"}


def network(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("cifar_resnet8", num_classes=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    foveate.attach(model, name, **({"reduction": 8} if name in SMALL else {}), **options)
    return model.eval()


def held(model: nn.Module, sites: tuple[FoldedSite, ...]) -> dict:
    like = next(model.parameters())
    return {site.gate: site.constants.to(like)[:, None, None] for site in sites if site.is_constant}


@pytest.mark.parametrize("name", FOLDABLE)
def test_every_gate_is_folded_into_a_network_with_the_keys_of_the_backbone(name: str) -> None:
    model = network(name).double()
    before = copy.deepcopy(model.state_dict())
    images = torch.randn(5, 3, 16, 16, dtype=torch.float64)
    folded = foveate.fold(model, [images[:2], images[2:]])
    assert {site.became for site in folded.sites} == {"folded"}
    assert folded.is_plain
    assert foveate.attached(folded.network) == {}
    with torch.inference_mode(), constant_gates(model, held(model, folded.sites)):
        expected = model(images)
    with torch.inference_mode():
        assert (folded.network(images) - expected).abs().max() <= 1e-12 * expected.abs().max()
    plain = timm.create_model("cifar_resnet8", num_classes=4)
    plain.load_state_dict(folded.network.state_dict())  # strict: the same keys
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert foveate.attached(model)


def test_a_constant_is_the_mean_of_a_channel_weighted_by_the_squares_of_its_map() -> None:
    """Over all images of batches of different sizes; it is the factor that changes the map least."""
    model = network("cbam")
    images = torch.randn(5, 3, 16, 16)
    folded = foveate.fold(model, iter([images[:4], images[4:]]))
    site = folded.sites[1]
    maps = []
    with recorded_gates(model, [site.gate]) as values, torch.inference_mode():
        model(images)
    with torch.inference_mode():
        model.layer2[0].bn2.attention.register_forward_pre_hook(lambda _, args: maps.append(args[0]))
        model(images)
    gate, squares = values[site.gate].double(), maps[-1].double().square()
    expected = (gate * squares).sum(dim=(0, 2, 3)) / squares.sum(dim=(0, 2, 3))
    torch.testing.assert_close(site.constants, expected, rtol=1e-5, atol=0)
    gate_of_a_channel = gate[:, 3].flatten().numpy()
    assert gate_of_a_channel.std() > 1e-3  # CBAM's gate differs from position to position


def test_a_channel_without_values_has_the_mean_of_the_others() -> None:
    model = network("se")
    model.layer1[0].bn2.weight.data[:3] = 0
    model.layer1[0].bn2.bias.data[:3] = 0
    site = foveate.fold(model, [torch.randn(4, 3, 16, 16)]).sites[0]
    assert site.constants.isfinite().all()
    assert 0 < site.constants[0] == site.constants[2] < 1


def test_in_float32_only_rounding_differs_and_a_file_loads_in_timm(tmp_path: Path) -> None:
    model = network("se")
    images = torch.randn(6, 3, 16, 16)
    folded = foveate.fold(model, [images])
    with torch.inference_mode(), constant_gates(model, held(model, folded.sites)):
        expected = model(images)
    foveate.save(folded.network, tmp_path / "plain.safetensors", backbone="cifar_resnet8")
    plain = timm.create_model("cifar_resnet8", num_classes=4).eval()
    plain.load_state_dict(safetensors.torch.load_file(tmp_path / "plain.safetensors"))
    with torch.inference_mode():
        torch.testing.assert_close(plain(images), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(foveate.load(tmp_path / "plain.safetensors")(images), plain(images))


class Twice(nn.Module):
    """Channel 0 of an image is 1 everywhere, channel 1 its brightness; the answer is the sum of channel 0."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(2), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))[:, 0].mean(dim=(1, 2)) - 0.3


IMAGES = torch.ones(40, 2, 3, 3)
IMAGES[:, 1] = torch.linspace(0, 1, 40)[:, None, None]
LABELS = IMAGES[:, 1, 0, 0] > 0.5


def accuracy(model: nn.Module) -> float:
    with torch.inference_mode():
        return ((model(IMAGES) > 0) == LABELS).double().mean().item()


def set_gate(module: nn.Module, slope: float) -> None:
    """Let the gate of channel 0 be σ(slope · (brightness - 0.5)), and that of the other near 1."""
    assert isinstance(module, SE)
    for part, weight, bias in (
        (module.reduce, [[0.0, 1.0], [0.0, 0.0]], [0.0, 0.0]),
        (module.expand, [[slope, 0.0], [0.0, 0.0]], [-slope / 2, 20.0]),
    ):
        part.weight.data = torch.tensor(weight)[:, :, None, None]
        part.bias.data = torch.tensor(bias)


@pytest.fixture
def half_reacting() -> nn.Module:
    """The gate of `first` is constant by its weights, that of `second` decides each answer."""
    model = foveate.attach(Twice(), "se", at=["first", "second"], reduction=1).eval()
    set_gate(model.first.attention, 0.0)
    set_gate(model.second.attention, 40.0)
    return model


def test_what_reacts_is_kept_and_named_with_what_it_would_cost(half_reacting: nn.Module) -> None:
    before = accuracy(half_reacting)
    assert before == 1
    folded = foveate.fold(half_reacting, [IMAGES], accuracy, max_loss=0.001)
    first, second = folded.sites
    assert (first.became, first.loss_alone, first.loss_together) == ("folded", 0, 0)
    assert (second.became, second.loss_alone, second.loss_together) == ("kept", 0.5, None)
    assert folded.order == ("first",)
    assert folded.score == 1
    assert not folded.is_plain
    assert [*foveate.attached(folded.network)] == ["second.attention"]
    assert accuracy(folded.network) == 1
    torch.testing.assert_close(folded.network.first.weight.data, torch.tensor([0.5, 1.0]), rtol=1e-4, atol=0)


def test_a_larger_loss_takes_both_and_none_takes_all(half_reacting: nn.Module) -> None:
    folded = foveate.fold(half_reacting, [IMAGES], accuracy, max_loss=0.5)
    assert [site.loss_together for site in folded.sites] == [0, 0.5]
    assert folded.is_plain
    assert accuracy(folded.network) == 0.5
    assert foveate.fold(half_reacting, [IMAGES]).is_plain


def test_losses_add_up_and_the_site_that_matters_least_is_folded_first(half_reacting: nn.Module) -> None:
    """Each alone stays within the largest loss, both together do not."""
    set_gate(half_reacting.first.attention, 1.0)
    set_gate(half_reacting.second.attention, 2.0)
    half_reacting.first.attention.expand.bias.data[0] += 1.0

    def loss(model: nn.Module) -> float:
        with torch.inference_mode():
            return -((model(IMAGES) - half_reacting(IMAGES)).square().mean().item())

    alone = sorted(
        site.loss_alone for site in foveate.fold(half_reacting, [IMAGES], loss, max_loss=1.0).sites
    )
    assert 0 < alone[0] < alone[1]
    folded = foveate.fold(half_reacting, [IMAGES], loss, max_loss=alone[1])
    assert sorted(site.became for site in folded.sites) == ["folded", "kept"]
    kept = next(site for site in folded.sites if site.became == "kept")
    assert kept.loss_alone == pytest.approx(alone[1])
    assert kept.loss_together > alone[1]


def test_a_scale_stays_where_no_layer_takes_the_constants_and_its_file_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=4)
    foveate.attach(model, "se", at=["blocks.0.drop_path2", "blocks.1.drop_path2"])
    images = torch.randn(3, 3, 32, 32)
    folded = foveate.fold(model.eval(), [images])
    assert [site.became for site in folded.sites] == ["scale", "scale"]
    assert not folded.is_plain
    left = foveate.attached(folded.network)
    assert all(isinstance(module, ChannelScale) for module in left.values())
    with torch.inference_mode(), constant_gates(model, held(model, folded.sites)):
        expected = model(images)
    file = tmp_path / "scaled.safetensors"
    foveate.save(
        folded.network,
        file,
        backbone="vit_tiny_patch16_224",
        backbone_args={"img_size": 32},
        preprocessing={"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3},
    )
    loaded = foveate.load(file)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), expected, rtol=1e-4, atol=1e-5)
    again = foveate.fold(loaded, [images])
    assert [site.became for site in again.sites] == ["excluded", "excluded"]
    assert again.sites[0].reason == "it is a constant already, and no layer can take it"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a2", "it is no product of the input and a gate"),
        ("sgfa", "its gates are factors within its equations"),
    ],
)
def test_what_has_no_gate_of_its_own_is_excluded_with_a_reason(name: str, reason: str) -> None:
    model = network(name, **({"reduction": 8} if name == "sgfa" else {}))
    folded = foveate.fold(model, [torch.randn(3, 3, 16, 16)], lambda model: 1.0)
    assert {site.became for site in folded.sites} == {"excluded"}
    assert all(reason in str(site.reason) for site in folded.sites)
    assert folded.score is None
    assert [*foveate.attached(folded.network)] == [*foveate.attached(model)]


def test_attention_that_is_built_in_stays_and_nothing_is_moved_past_it() -> None:
    """Its gate stands between the batch norm and the site, so that the norm cannot take the constants."""

    class BuiltIn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.self_attention = nn.BatchNorm2d(2), SE(2, reduction=1)
            self.site, self.conv = nn.ReLU(), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.site(self.self_attention(self.norm(x)))).mean(dim=(2, 3))

    torch.manual_seed(0)
    model = foveate.attach(BuiltIn(), "se", at="site", reduction=1).eval()
    for parameter in model.self_attention.parameters():  # so that its own ReLU is not 0 throughout
        nn.init.uniform_(parameter, 0.5, 1.5)
    folded = foveate.fold(model, [IMAGES])
    assert [(site.path, site.became) for site in folded.sites] == [
        ("self_attention", "excluded"),
        ("site", "folded"),
    ]
    assert [layer.path for layer in folded.sites[1].layers] == ["conv"]
    assert isinstance(folded.network.self_attention, SE)


def test_folded_attention_with_identity_init_and_a_class_of_ones_own() -> None:
    class Halved(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    model = network("se", identity_init=True)
    for module in foveate.attached(model).values():
        nn.init.constant_(module.gate, 0.5)
    assert foveate.fold(model, [torch.randn(3, 3, 16, 16)]).is_plain
    foveate.detach(model)
    foveate.attach(model, Halved)
    folded = foveate.fold(model, [torch.randn(3, 3, 16, 16)])
    assert folded.is_plain
    torch.testing.assert_close(folded.sites[0].constants, torch.full((16,), 0.5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: {"max_loss": -0.1}, "max_loss must be a number from 0, got -0.1"),
        (lambda model: {"max_loss": float("nan")}, "max_loss must be a number from 0, got nan"),
        (lambda model: {"images": []}, "there are no images"),
        (lambda model: foveate.detach(model) and {}, "has no attention"),
        (
            lambda model: {"images": [torch.rand(3, 3, 16, 16), torch.full((1, 3, 16, 16), torch.nan)]},
            "not finite",
        ),
    ],
    ids=["negative", "nan", "no images", "no attention", "gate that is not finite"],
)
def test_a_wrong_request_is_refused(change: Callable[[nn.Module], dict], said: str) -> None:
    model = network("se")
    options = {"images": [torch.randn(3, 3, 16, 16)]} | change(model)
    with pytest.raises(RequestError, match=said):
        foveate.fold(model, **options)
