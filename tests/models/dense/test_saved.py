"""Detectors and segmenters as files: saved, loaded, as adapters, and forged."""

import pytest
import safetensors.torch
import torch
from dense_networks import SMALL, answers, small
from saved import about, write

import foveate
from foveate.errors import RequestError
from foveate.models.dense import attach_dense


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_loaded_network_answers_as_the_saved_one(tmp_path, name, norm):
    network = small(name, "resnet18" if name == "fpn" else "cifar_resnet8", norm=norm)
    attach_dense(network, "eca", "both", where="stage", identity_init=False)
    foveate.save(network, tmp_path / "network.safetensors", classes=["cat", "dog"])
    loaded = foveate.load(tmp_path / "network.safetensors")
    assert loaded.pretrained_cfg["label_names"] == ["cat", "dog"]
    assert foveate.attached(loaded).keys() == foveate.attached(network).keys()
    expected = answers(name, network)
    assert all(len(one) for one in expected)
    assert all(map(torch.equal, answers(name, loaded), expected))


def test_arguments_of_the_backbone_are_saved(tmp_path):
    network = small("unet", "cifar_resnet8", backbone_args={"channels": (8, 16, 24), "stem_width": 4})
    foveate.save(network, tmp_path / "network.safetensors", classes=[])
    loaded = foveate.load(tmp_path / "network.safetensors")
    assert loaded.encoder.out_channels == network.encoder.out_channels == [8, 16, 24]


def test_a_network_that_was_changed_afterwards_is_not_saved_as_it_was_built(tmp_path):
    network = small("fasterrcnn", "cifar_resnet8")
    network.transform.image_mean = [0.0, 0.0, 0.0]
    with pytest.raises(RequestError, match="it answers otherwise"):
        foveate.save(network, tmp_path / "network.safetensors")


def test_classes_are_those_without_the_background(tmp_path):
    with pytest.raises(RequestError, match="3 classes .* with 2 outputs"):
        foveate.save(small("fcos", "cifar_resnet8"), tmp_path / "x.safetensors", classes=["a", "b", "c"])


@pytest.mark.parametrize("name", ["retinanet", "unet"])
def test_an_adapter_holds_the_attention_alone(tmp_path, name):
    base, network = small(name, "cifar_resnet8"), small(name, "cifar_resnet8")
    network.requires_grad_(False)
    attach_dense(network, "se", "neck")
    path = tmp_path / "adapter.safetensors"
    foveate.save(network, path, classes=["a", "b"], only="attention", base=base)
    kept = safetensors.torch.load_file(path)
    assert kept.keys() == {key for key in network.state_dict() if ".attention." in key}
    loaded = foveate.load(path, base=small(name, "cifar_resnet8"))
    assert all(map(torch.equal, answers(name, loaded), answers(name, network)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": "hf-hub:someone/network"}, "reaches for other files"),
        ({"backbone": "torchvision/../x"}, "reaches for other files|unknown backbone"),
        ({"backbone_args": [["pretrained", True]]}, "reaches for other files"),
        ({"backbone_args": [["checkpoint_path", "x.pth"]]}, "reaches for other files"),
        ({"backbone_args": ["pretrained"]}, "a list of names and values"),
        ({"features_from": "x.pth"}, "no network"),
        ({"backbone": None}, "the name of a backbone"),
        ({"fpn_channels": 10**6}, "modules|numbers"),
    ],
)
def test_a_forged_file_reaches_for_nothing(tmp_path, change, sentence):
    path = tmp_path / "network.safetensors"
    foveate.save(small("fasterrcnn", "cifar_resnet8"), path)
    forged = about(path)
    forged["backbone"]["args"] |= change
    write(path, forged, safetensors.torch.load_file(path))
    with pytest.raises(RequestError, match=sentence):
        foveate.load(path)
