"""Attention that a network has of its own: found, taken out, replaced, and put back bit for bit."""

import copy
import pickle
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from saved import about, write
from timm.layers import EcaModule, SEModule
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.own import own_attention, remove_own, removed_own

SE, ECA = "squeeze-and-excitation", "efficient channel attention"
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "timm mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_100"), SE, 9),
    "timm efficientnet": (lambda: timm.create_model("efficientnet_b0"), SE, 16),
    "timm regnety": (lambda: timm.create_model("regnety_002"), SE, 13),
    "timm seresnet": (lambda: timm.create_model("seresnext26t_32x4d"), SE, 8),
    "timm senet": (lambda: timm.create_model("legacy_seresnet18"), SE, 8),
    "timm ecaresnet": (lambda: timm.create_model("ecaresnet26t"), ECA, 8),
    "torchvision mobilenetv3": (torchvision.models.mobilenet_v3_small, SE, 9),
    "torchvision efficientnet": (torchvision.models.efficientnet_b0, SE, 16),
    "torchvision regnety": (torchvision.models.regnet_y_400mf, SE, 16),
}
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def small() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("mobilenetv3_small_050", num_classes=4).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_own_attention_is_replaced_in_its_place_and_comes_back(name: str) -> None:
    build, kind, number = NETWORKS[name]
    torch.manual_seed(0)
    network = build().eval()
    own = own_attention(network)
    assert {one.kind for one in own} == {kind}
    assert len(own) == number
    before, keys = copy.deepcopy(network), list(network.state_dict())
    without = copy.deepcopy(network)
    for one in own:
        without.set_submodule(one.path, nn.Identity())
    with torch.no_grad():
        foveate.attach(network, "simam", replace_own=True, identity_init=True)
        assert torch.equal(network(IMAGES), without(IMAGES))
        assert list(attached(network)) == [f"{one.path}.attention" for one in own]
        assert own_attention(network) == []
        gates = [key for key in network.state_dict() if key.endswith(".gate")]
        assert sorted([*gates, *without.state_dict()]) == sorted(network.state_dict())
        assert foveate.detach(network) is network
        assert list(network.state_dict()) == keys
        assert torch.equal(network(IMAGES), before(IMAGES))


@pytest.mark.parametrize("name", ["resnet18", "cifar_resnet8_se", "convnext_atto", "mobilenetv2_050"])
def test_networks_without_own_attention_are_refused_and_stay_as_they_are(name: str) -> None:
    network = timm.create_model(name)
    modules = list(network.modules())
    assert own_attention(network) == []
    for refused in (lambda: foveate.attach(network, "eca", replace_own=True), lambda: remove_own(network)):
        with pytest.raises(
            RequestError, match="has no attention of its own that could be replaced: leave out"
        ):
            refused()
    assert list(network.modules()) == modules


def test_width_is_that_of_the_expanded_channels() -> None:
    network = small()
    expanded = [network.get_submodule(one.path).conv_reduce.in_channels for one in own_attention(network)]
    foveate.attach(network, "se", replace_own=True, reduction=4)
    assert [module.placement.channels for module in attached(network).values()] == expanded
    assert max(expanded) > 100


def test_other_places_can_be_named_and_own_attention_is_out_all_the_same() -> None:
    network = foveate.attach(small(), "eca", where="stage", replace_own=True)
    assert own_attention(network) == []
    assert not any(path.removesuffix(".attention") in removed_own(network) for path in attached(network))
    assert len(attached(network)) > 2


def test_without_a_mechanism_own_attention_is_out_and_detach_puts_it_back() -> None:
    network, before = small(), small()
    remove_own(network)
    assert attached(network) == {}
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in before.parameters())
    with pytest.raises(RequestError, match="has no attention of its own any more"):
        remove_own(network)
    with torch.no_grad():
        assert (network(IMAGES) - before(IMAGES)).abs().max() > 1e-6
        assert torch.equal(foveate.detach(network)(IMAGES), before(IMAGES))


@pytest.mark.parametrize("options", [{"reduction": 10_000}, {"at": ["blocks.0.0.se.conv_reduce"]}])
def test_an_attachment_that_fails_leaves_own_attention_in(options: dict[str, object]) -> None:
    network, before = small(), small()
    with pytest.raises(RequestError):
        foveate.attach(network, "se", replace_own=True, **options)
    assert len(own_attention(network)) == len(own_attention(before))
    assert torch.equal(network(IMAGES), before(IMAGES))


def test_copies_and_pickles_keep_what_was_taken_out_and_follow_the_dtype() -> None:
    network = foveate.attach(small(), "eca", replace_own=True)
    for made in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        made.double()
        foveate.detach(made)
        assert {parameter.dtype for parameter in made.parameters()} == {torch.float64}
        with torch.no_grad():
            expected = small().double()(IMAGES.double())
            assert torch.equal(made(IMAGES.double()), expected)


def test_a_file_says_what_was_taken_out(tmp_path) -> None:
    path = tmp_path / "a.safetensors"
    foveate.save(small(), path)
    assert "own_removed" not in about(path)
    network = foveate.attach(small(), "cbam", replace_own=True, reduction=4)
    foveate.save(network, path)
    assert about(path)["own_removed"] == removed_own(network)
    loaded = foveate.load(path)
    own = foveate.load(path, model=small())
    with torch.no_grad():
        assert torch.equal(loaded(IMAGES), network(IMAGES))
        assert torch.equal(own(IMAGES), network(IMAGES))
    # Its weights are not in the file, so that its places stay empty.
    foveate.detach(loaded)
    assert own_attention(loaded) == []
    assert attached(loaded) == {}


def test_the_baseline_without_its_own_is_saved_too(tmp_path) -> None:
    network = remove_own(small())
    foveate.save(network, tmp_path / "a.safetensors")
    loaded = foveate.load(tmp_path / "a.safetensors")
    assert removed_own(loaded) == removed_own(network) != []
    with torch.no_grad():
        assert torch.equal(loaded(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (["conv_stem"], "has no attention of its own at conv_stem"),
        (["blocks.9"], "has no attention of its own at blocks.9"),
        ("blocks.0.0.se", "own_removed: given 'blocks.0.0.se', expected a list of paths"),
        ([3], r"own_removed: given \[3\], expected a list of paths"),
    ],
)
def test_forged_places_are_refused(tmp_path, removed: object, message: str) -> None:
    path = tmp_path / "a.safetensors"
    foveate.save(remove_own(small()), path)
    write(path, about(path) | {"own_removed": removed})
    with pytest.raises(RequestError, match=message):
        foveate.load(path)


class Mine(SEModule):
    """A class of one's own, made from timm's."""


def test_subclasses_count_and_other_modules_do_not() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), Mine(16), nn.Sequential(EcaModule(), nn.ReLU()), nn.Conv2d(16, 4, 1)
    )
    assert [(one.path, one.kind) for one in own_attention(network)] == [("1", SE), ("2.0", ECA)]
    foveate.attach(network, "se", replace_own=True, reduction=4)
    assert list(attached(network)) == ["1.attention", "2.0.attention"]
    assert own_attention(foveate.detach(network))[0].path == "1"
