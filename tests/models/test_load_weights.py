"""Weights go into a network with attention, and every key is accounted for."""

import copy

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached


@pytest.fixture
def backbone() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("cifar_resnet20")


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(1)
    return foveate.attach(timm.create_model("cifar_resnet20"), "se", stages=(2, 3))


def same(model: nn.Module, weights: dict) -> bool:
    return all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())


def test_backbone_weights_leave_exactly_the_attention_new(network, backbone):
    before = copy.deepcopy(network.state_dict())
    new = foveate.load_weights(network, backbone.state_dict())
    assert new == [key for key in before if key.startswith(tuple(attached(network)))]
    assert len(new) == 6 * 4
    assert same(network, backbone.state_dict())
    assert same(network, {key: before[key] for key in new})


def test_whole_weights_leave_nothing_new(network):
    other = foveate.attach(timm.create_model("cifar_resnet20"), "se", stages=(2, 3))
    assert foveate.load_weights(other, network.state_dict()) == []
    assert same(other, network.state_dict())


def test_plain_network_takes_its_weights_and_reports_nothing_new(backbone):
    other = timm.create_model("cifar_resnet20")
    assert foveate.load_weights(other, backbone.state_dict()) == []
    assert same(other, backbone.state_dict())


def test_weights_from_before_batches_were_counted_load(network, backbone):
    old = {k: v for k, v in backbone.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert len(foveate.load_weights(network, old)) == 24


def drop(weights: dict, key: str) -> dict:
    return {name: value for name, value in weights.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: drop(w, "conv1.weight"), r"1 it needs and they lack: conv1\.weight"),
        (
            lambda w: {**w, "layer9.weight": torch.zeros(1)},
            r"1 they have and it does not know: layer9\.weight",
        ),
        (
            lambda w: {**w, "fc.weight": torch.zeros(7, 64), "fc.bias": torch.zeros(7)},
            r"2 differ in shape: fc\.weight \(7, 64\) for \(10, 64\), fc\.bias.*as many classes",
        ),
        (lambda w: {}, r"it needs and they lack: conv1\.weight, .*, …"),
    ],
)
def test_any_other_difference_raises_and_nothing_is_loaded(network, backbone, change, message):
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(RequestError, match=message):
        foveate.load_weights(network, change(backbone.state_dict()))
    assert same(network, before)


def test_half_of_the_attention_is_a_difference(network):
    weights = drop(network.state_dict(), "layer2.0.bn2.attention.reduce.bias")
    with pytest.raises(RequestError, match=r"lack: layer2\.0\.bn2\.attention\.reduce\.bias"):
        foveate.load_weights(copy.deepcopy(network), weights)


def test_files(network, backbone, tmp_path):
    safetensors.torch.save_file(backbone.state_dict(), tmp_path / "backbone.safetensors")
    assert len(foveate.load_weights(network, tmp_path / "backbone.safetensors")) == 24
    assert same(network, backbone.state_dict())


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_is_refused_unless_trusted(network, backbone, tmp_path, zipped):
    path = tmp_path / "backbone.pth"
    torch.save({"state_dict": backbone.state_dict()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RequestError, match=r"is a pickle, which can run code.*trust_pickle=True"):
        foveate.load_weights(network, path)
    assert len(foveate.load_weights(network, str(path), trust_pickle=True)) == 24
    assert same(network, backbone.state_dict())


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_pickle_by_another_name_is_not_run(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    torch.save({"state_dict": Bomb()}, path)
    with pytest.raises(RequestError, match="is a pickle"):
        foveate.load_weights(network, path)
    with pytest.raises(RequestError, match="is a pickle"):
        foveate.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is not there"), (b"", "is no safetensors file"), (b"\x00" * 64, "is no safetensors file")],
)
def test_files_that_are_none(network, tmp_path, content, message):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        foveate.load_weights(network, path)


def test_trusted_pickle_that_cannot_be_read(network, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(RequestError, match="could not be read as torch's weights"):
        foveate.load_weights(network, tmp_path / "weights.pth", trust_pickle=True)
