"""Pretrained weights in a backbone: adapted to classes and channels, or refused by their keys."""

import dataclasses
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models.backbones.create import create_backbone
from foveate.models.backbones.fetch import fetch_weights
from foveate.models.checkpoint.pretrained import create_pretrained, weights_preprocessing

SHUFFLENET = "torchvision/shufflenet_v2_x0_5"


def differing(network: nn.Module, weights: dict[str, torch.Tensor]) -> set[str]:
    """The keys whose values in `network` are not those of `weights`."""
    own = network.state_dict()
    assert own.keys() == weights.keys()
    return {key for key, value in own.items() if not torch.equal(value, weights[key])}


def saved(name: str, folder: Path, **arguments: object) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(11)
    library, _, plain = name.rpartition("/")
    network = (
        torchvision.models.get_model(plain, **arguments) if library else timm.create_model(name, **arguments)
    )
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth", network.state_dict()


@pytest.mark.parametrize(
    ("name", "stem", "heads"),
    [
        ("cifar_resnet8", "conv1", {"fc"}),
        ("mobilenetv3_small_050", "conv_stem", {"classifier"}),
        ("deit_tiny_distilled_patch16_224", "patch_embed.proj", {"head", "head_dist"}),
        (SHUFFLENET, "conv1.0", {"fc"}),
        ("torchvision/mnasnet0_5", "layers.0", {"classifier.1"}),
    ],
)
def test_weights_are_adapted_to_classes_and_channels(name, stem, heads, tmp_path):
    file, weights = saved(name, tmp_path)
    of_heads = {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}
    assert differing(create_pretrained(name, file), weights) == set()
    torch.manual_seed(3)
    network = create_pretrained(name, file, classes=7, channels=1)
    assert differing(network, weights) == {*of_heads, f"{stem}.weight"}
    torch.testing.assert_close(
        network.get_submodule(stem).weight, weights[f"{stem}.weight"].sum(1, keepdim=True)
    )
    torch.manual_seed(3)
    drawn = create_backbone(name, classes=7, channels=1).state_dict()
    assert all(torch.equal(network.state_dict()[key], drawn[key]) for key in of_heads)


def test_weights_for_grey_images_are_taken_for_grey_images_alone(tmp_path):
    file, weights = saved("cifar_resnet8", tmp_path, in_chans=1)
    assert differing(create_pretrained("cifar_resnet8", file), weights) == set()
    with pytest.raises(
        RequestError, match=r"differ in shape: conv1.weight \(16, 1, 3, 3\) for \(16, 3, 3, 3\)"
    ):
        create_pretrained("cifar_resnet8", file, channels=3)


def test_a_file_without_a_head_gets_a_new_one(tmp_path):
    _, weights = saved("cifar_resnet8", tmp_path)
    kept = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    safetensors.torch.save_file(kept, tmp_path / "weights.safetensors")
    network = create_pretrained("cifar_resnet8", tmp_path / "weights.safetensors", classes=10)
    assert differing(network, weights) == {"fc.weight", "fc.bias"}


def test_weights_of_another_layout_are_converted_as_timm_does(tmp_path):
    """A transformer's positions are resampled for another image size; the rest stays."""
    file, weights = saved("vit_tiny_patch16_224", tmp_path)
    network = create_pretrained("vit_tiny_patch16_224", file, classes=1000, image_size=64)
    assert differing(network, weights) == {"pos_embed"}
    assert network.pos_embed.shape == (1, 17, 192)
    old = {
        key.replace("denselayer1.norm1", "denselayer1.norm.1"): value
        for key, value in torchvision.models.densenet121(num_classes=3).state_dict().items()
    }
    torch.save(old, tmp_path / "old.pth")
    found = create_pretrained("torchvision/densenet121", tmp_path / "old.pth").state_dict()
    assert torch.equal(
        found["features.denseblock1.denselayer1.norm1.weight"],
        old["features.denseblock1.denselayer1.norm.1.weight"],
    )


def test_weights_with_a_background_class_lose_it(tmp_path, monkeypatch):
    file, weights = saved("cifar_resnet8", tmp_path, num_classes=11)
    config = dataclasses.replace(timm.get_pretrained_cfg("cifar_resnet8"), label_offset=1)
    monkeypatch.setitem(timm.models._registry._model_pretrained_cfgs, "cifar_resnet8", config)
    network = create_pretrained("cifar_resnet8", file, classes=10)
    assert torch.equal(network.fc.weight, weights["fc.weight"][1:])


def test_a_checkpoint_with_prefixes_is_searched_for_its_weights(tmp_path):
    _, weights = saved("cifar_resnet8", tmp_path)
    held = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in weights.items()}}
    torch.save(held, tmp_path / "last.pth")
    assert differing(create_pretrained("cifar_resnet8", tmp_path / "last.pth"), weights) == set()


@pytest.mark.parametrize("name", ["resnet18", "torchvision/resnet18"])
def test_weights_of_another_network_are_refused_by_their_first_keys(name, tmp_path):
    file, _ = saved("cifar_resnet8", tmp_path)
    with pytest.raises(
        RequestError,
        match=rf"weights\.pth does not hold the weights of {name}: 55 it needs and they lack: layer1.1",
    ):
        create_pretrained(name, file, classes=2)


def test_weights_of_other_shapes_are_refused_by_their_first_keys(tmp_path):
    file, _ = saved("cifar_resnet8", tmp_path, channels=(8, 16, 32), stem_width=4)
    with pytest.raises(
        RequestError, match=r"differ in shape: conv1.weight \(8, 3, 3, 3\) for \(16, 3, 3, 3\)"
    ):
        create_pretrained("cifar_resnet8", file, classes=2)


def test_weights_for_another_image_size_are_refused_with_theirs(tmp_path, monkeypatch):
    narrow = {"num_layers": 1, "num_heads": 1, "hidden_dim": 8, "mlp_dim": 8}

    class Narrow(torchvision.models.VisionTransformer):
        def __init__(self, **arguments) -> None:
            super().__init__(**arguments | narrow)

    monkeypatch.setattr(torchvision.models.vision_transformer, "VisionTransformer", Narrow)
    file, weights = saved("torchvision/vit_b_16", tmp_path)
    assert differing(create_pretrained("torchvision/vit_b_16", file), weights) == set()
    with pytest.raises(RequestError, match=r"pos_embedding \(1, 197, 8\).* or give --image-size 224"):
        create_pretrained("torchvision/vit_b_16", file, image_size=32)


def test_weights_with_attention_are_refused(tmp_path):
    model = foveate.attach(create_backbone("cifar_resnet8", classes=2), "se")
    foveate.save(model, tmp_path / "weights.safetensors", backbone="cifar_resnet8", classes=["a", "b"])
    with pytest.raises(
        RequestError, match=r"they have and it does not know: .*attention.* without attention"
    ):
        create_pretrained("cifar_resnet8", tmp_path / "weights.safetensors")


class Touch:
    """A pickle that would write a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_of_a_pickle_is_run(tmp_path):
    torch.save({"weight": Touch(tmp_path / "touched")}, tmp_path / "bad.pth")
    with pytest.raises(RequestError, match="bad.pth holds more than tensors"):
        create_pretrained("cifar_resnet8", tmp_path / "bad.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(RequestError, match="a pickled Linear, a whole object"):
        create_pretrained("cifar_resnet8", tmp_path / "whole.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps([Touch(tmp_path / "touched")]))
    with pytest.raises(RequestError, match="plain.pth"):
        create_pretrained("cifar_resnet8", tmp_path / "plain.pth")
    assert not (tmp_path / "touched").exists()


def test_preprocessing_is_the_files_own_or_the_networks(tmp_path):
    file, _ = saved("cifar_resnet8", tmp_path)
    declared = weights_preprocessing("cifar_resnet8", file)
    assert declared["mean"] == (0.4914, 0.4822, 0.4465)
    assert declared["input_size"] == (3, 32, 32)
    own = {"input_size": [3, 48, 48], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    foveate.save(
        create_backbone("cifar_resnet8", classes=2),
        tmp_path / "own.safetensors",
        classes=["a", "b"],
        preprocessing=own,
    )
    found = weights_preprocessing("cifar_resnet8", tmp_path / "own.safetensors")
    assert found["input_size"] == (3, 48, 48)
    assert found["mean"] == (0.1, 0.2, 0.3)
    assert weights_preprocessing(SHUFFLENET, saved(SHUFFLENET, tmp_path)[0])["mean"] == (0.485, 0.456, 0.406)


def test_what_timm_is_told_to_load_from_a_file_is_found(tmp_path, monkeypatch):
    file, weights = saved("mobilenetv3_small_050", tmp_path)
    config = dataclasses.replace(timm.get_pretrained_cfg("mobilenetv3_small_050"), file=str(file))
    monkeypatch.setitem(timm.models._registry._model_pretrained_cfgs, "mobilenetv3_small_050", config)
    found = fetch_weights("mobilenetv3_small_050")
    assert differing(create_pretrained("mobilenetv3_small_050", found), weights) == set()
