"""Weights go into a network with attention, and every key is accounted for."""

import copy
import json

import pytest
import safetensors.torch
import timm
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import foveate
from foveate.errors import RequestError, answering_a_command
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


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_pickled_network_is_named_and_never_built(network, backbone, tmp_path, zipped):
    path = tmp_path / "whole.pth"
    torch.save(backbone, path, _use_new_zipfile_serialization=zipped)
    for trust_pickle in (False, True):
        with pytest.raises(
            RequestError, match=r"is a pickled CifarResNet, a whole object .*model\.state_dict\(\)"
        ):
            foveate.load_weights(network, path, trust_pickle=trust_pickle)


def test_a_pickle_is_answered_in_words_of_the_command_line(tmp_path, backbone):
    path = tmp_path / "backbone.pth"
    torch.save(backbone.state_dict(), path)
    with (
        answering_a_command(),
        pytest.raises(RequestError, match="write its tensors to a safetensors") as said,
    ):
        foveate.load_weights(backbone, path)
    assert "foveate.load_weights" not in str(said.value)


def test_weights_of_an_averaged_model_are_taken(network, backbone):
    averaged = AveragedModel(backbone).state_dict()
    assert "n_averaged" in averaged
    assert len(foveate.load_weights(network, averaged)) == 24
    assert same(network, backbone.state_dict())


def test_weights_of_lightning_are_taken_and_its_checkpoint_named(network, backbone):
    weights = {f"model.{key}": value for key, value in backbone.state_dict().items()}
    with pytest.raises(
        RequestError, match=r"a whole checkpoint with epoch, state_dict: pass its \['state_dict'\]"
    ):
        foveate.load_weights(network, {"epoch": 3, "state_dict": weights})
    assert len(foveate.load_weights(network, weights)) == 24
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


@pytest.mark.parametrize("padding", range(32))
def test_safetensors_of_any_header_length_are_no_pickle(tmp_path, padding):
    path = tmp_path / "weights.safetensors"
    # safetensors pad the header to a multiple of 8, of which 1 in 32 has the low byte 0x80.
    safetensors.torch.save_file({"weight": torch.ones(2, 1)}, path, {"note": "x" * 8 * padding})
    linear = nn.Linear(1, 2, bias=False)
    for trust_pickle in (False, True):
        assert foveate.load_weights(linear, path, trust_pickle=trust_pickle) == []
        assert same(linear, {"weight": torch.ones(2, 1)})


def test_the_header_lengths_above_are_all_there_are(tmp_path):
    content = [
        safetensors.torch.save({"weight": torch.ones(2, 1)}, {"note": "x" * 8 * padding})
        for padding in range(32)
    ]
    assert {first[0] for first in content} == set(range(0, 256, 8))
    assert json.loads(content[0][8 : 8 + int.from_bytes(content[0][:8], "little")])["weight"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fc.weight", [[0.0] * 64] * 10, r"1 are no tensors: fc\.weight \(list\)"),
        ("fc.weight", torch.zeros(10, 64, dtype=torch.int64), r"kind: fc\.weight torch\.int64 for .*float32"),
        ("fc.weight", torch.zeros(10, 64, dtype=torch.complex64), "kind: fc.weight torch.complex64"),
        ("bn1.num_batches_tracked", torch.tensor(1.5), "kind: bn1.num_batches_tracked torch.float32"),
        ("fc.weight", torch.zeros(10, 64, device="meta"), r"1 have no values in memory: fc\.weight \(meta"),
        (
            "fc.weight",
            torch.zeros(10, 64).to_sparse(),
            r"no values in memory: fc\.weight \(cpu, torch\.sparse",
        ),
        (3, torch.zeros(1), "1 they have and it does not know: 3"),
    ],
)
def test_values_that_do_not_fit_raise_and_nothing_is_loaded(network, backbone, key, value, message):
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(RequestError, match=message):
        foveate.load_weights(network, {**backbone.state_dict(), key: value})
    assert same(network, before)


def test_other_floating_dtypes_are_taken(backbone):
    weights = {
        k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in backbone.state_dict().items()
    }
    other = timm.create_model("cifar_resnet20")
    foveate.load_weights(other, weights)
    assert torch.equal(other.fc.weight, backbone.fc.weight.bfloat16().float())


@pytest.mark.parametrize("weights", [None, [1], b"bytes"])
def test_what_are_no_weights_at_all(backbone, weights):
    with pytest.raises(RequestError, match=r"weights are a \w+: expected a state dict, or the path"):
        foveate.load_weights(backbone, weights)


class Stubborn(nn.Linear):
    """Refuses what it is given, after others have taken theirs."""

    def _load_from_state_dict(self, *args, **kwargs):
        raise RuntimeError("not today")


def test_a_module_that_refuses_leaves_all_as_it_was():
    model = nn.Sequential(nn.BatchNorm1d(2), Stubborn(2, 2))
    before = copy.deepcopy(model.state_dict())
    weights = {key: value + 1 for key, value in before.items()}
    with pytest.raises(
        RequestError, match="Sequential does not take the weights, and is as it was: not today"
    ):
        foveate.load_weights(model, weights)
    assert same(model, before)


def test_network_without_memory(backbone):
    with torch.device("meta"):
        empty = timm.create_model("cifar_resnet20")
    with pytest.raises(RequestError, match=r"CifarResNet is on the meta device.*to_empty"):
        foveate.load_weights(empty, backbone.state_dict())


def test_compiled_and_parallel_networks_are_filled_inside(network, backbone):
    new = foveate.load_weights(torch.compile(nn.DataParallel(network)), backbone.state_dict())
    assert new == [key for key in network.state_dict() if key.startswith(tuple(attached(network)))]
    assert same(network, backbone.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_weights_of_compiled_and_parallel_networks_load(network, backbone, prefix):
    weights = {prefix + key: value for key, value in backbone.state_dict().items()}
    assert len(foveate.load_weights(network, weights)) == 24
    assert same(network, backbone.state_dict())


def test_a_network_whose_own_names_begin_with_module_keeps_them():
    model = nn.ModuleDict({"module": nn.Linear(1, 2)})
    weights = {key: value + 1 for key, value in model.state_dict().items()}
    assert foveate.load_weights(model, weights) == []
    assert same(model, weights)


class Twice(nn.Module):
    """A module that has two names, and two weights that are one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
        self.second = self.first
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.right.weight = self.left.weight

    def forward(self, x):
        return self.right(self.left(self.second(x).mean((2, 3))))


def test_attention_in_a_module_with_two_names():
    plain = Twice().state_dict()
    model = foveate.attach(Twice(), "se", at="first.0", reduction=2)
    new = foveate.load_weights(model, plain)
    assert len(new) == 2 * 4
    assert {key.split(".")[0] for key in new} == {"first", "second"}
    assert same(model, plain)
    assert foveate.load_weights(model, copy.deepcopy(model.state_dict())) == []


def test_one_name_of_a_shared_tensor_is_enough():
    weights = Twice().state_dict()
    model = Twice()
    once = {k: v for k, v in weights.items() if not k.startswith("second") and k != "right.weight"}
    assert foveate.load_weights(model, once) == []
    assert same(model, weights)
    with pytest.raises(RequestError, match=r"2 it needs and they lack: left\.weight, right\.weight"):
        foveate.load_weights(model, drop(once, "left.weight"))
