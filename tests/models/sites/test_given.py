"""A class, a function, a reference and modules in place of a mechanism's name."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

import foveate
from custom_modules import write_mine
from foveate.attention import find_custom
from foveate.errors import RequestError
from foveate.models.sites.attach import placements

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mine(tmp_path_factory.mktemp("own"))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("resnet18", num_classes=3, zero_init_last=False).eval()


def made(mine: Path) -> Callable[..., nn.Module]:
    own = find_custom(f"{mine}:Mine")
    assert own is not None
    return own.make


FORMS: dict[str, Callable[[Path], Any]] = {
    "reference": lambda mine: f"{mine}:Mine",
    "class": made,
    "function": lambda mine: lambda channels: made(mine)(channels, reduction=2),
    "modules": lambda mine: [made(mine)(channels) for channels in WIDTHS],
    "module list": lambda mine: nn.ModuleList(made(mine)(channels) for channels in WIDTHS),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_goes_in_and_out(network: nn.Module, mine: Path, form: str) -> None:
    plain = network(X)
    foveate.attach(network, FORMS[form](mine), identity_init=True)
    assert len(foveate.attached(network)) == 8
    assert torch.equal(network(X), plain)
    for module in foveate.attached(network).values():
        nn.init.constant_(module.gate, 0.5)  # type: ignore[arg-type]
    changed = network(X)
    assert not torch.allclose(changed, plain)
    assert torch.equal(copy.deepcopy(network)(X), changed)
    assert torch.equal(pickle.loads(pickle.dumps(network))(X), changed)
    assert {one.path for one in foveate.kernel_paths(network)} == {"reference"}
    assert torch.equal(foveate.detach(network)(X), plain)


def test_options_and_places_are_those_of_any_mechanism(network: nn.Module, mine: Path) -> None:
    foveate.attach(network, f"{mine}:Mine", stages=4, reduction=16, spatial=True)
    assert [one.path for one in placements(network)] == ["layer4.0.bn2", "layer4.1.bn2"]
    assert all(one.name == "mine.py:Mine" for one in placements(network))
    keys = [key for key in network.state_dict() if "attention" in key]
    assert "layer4.0.bn2.attention.place.weight" in keys
    assert network.get_parameter("layer4.0.bn2.attention.down.weight").shape == (32, 512, 1, 1)


def test_a_single_module_goes_to_a_single_site(network: nn.Module, mine: Path) -> None:
    module = made(mine)(512)
    foveate.attach(network, module, at="layer4.1.bn2")
    assert foveate.attached(network) == {"layer4.1.bn2.attention": module}


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ([nn.Identity()], {}, "1 module for 8 sites: give one for each"),
        (nn.Identity(), {}, "1 module for 8 sites"),
        ([nn.Identity()] * 8, {}, "a module was given for more than one site"),
        ([nn.Identity() for _ in range(8)], {"reduction": 4}, "reduction cannot be given to modules"),
        ([], {}, "expected a module for each site"),
        (["se"] * 8, {}, "expected a module for each site"),
        (dict, {}, "dict is no torch.nn.Module"),
        (5, {}, "5 is no attention mechanism: expected a name"),
        (None, {}, "None is no attention mechanism"),
        (lambda channels: "nothing", {}, "gives a value of type str: expected a torch.nn.Module"),
        (lambda: nn.Identity(), {}, None),
    ],
)
def test_what_does_not_fit_leaves_the_network_as_it_was(
    network: nn.Module, given: Any, options: dict[str, Any], words: str | None
) -> None:
    plain = network(X)
    if words is None:
        foveate.attach(network, given, **options)
        return
    with pytest.raises(RequestError, match=words):
        foveate.attach(network, given, **options)
    assert torch.equal(network(X), plain)
    assert not foveate.attached(network)


def test_options_may_stand_behind_the_name(network: nn.Module, mine: Path) -> None:
    foveate.attach(network, f"{mine}:Mine(reduction=16,spatial=True)", stages=4, reduction=8)
    assert network.get_parameter("layer4.0.bn2.attention.down.weight").shape == (64, 512, 1, 1)
    foveate.detach(network)
    foveate.attach(network, "se(reduction=4)", stages=4)
    assert {one.name for one in placements(network)} == {"se"}
    assert placements(network)[0].options == {"reduction": 4}


@pytest.mark.parametrize(
    ("name", "words"),
    [("Pair", "mine.py:Pair returns a tuple of 2 at layer1.0.bn2"), ("Pooled", "returns float32 of shape")],
)
def test_what_returns_no_map_is_refused_at_its_first_site(
    network: nn.Module, mine: Path, name: str, words: str
) -> None:
    plain = network(X)
    with pytest.raises(RequestError, match=words):
        foveate.attach(network, f"{mine}:{name}")
    assert torch.equal(network(X), plain)
