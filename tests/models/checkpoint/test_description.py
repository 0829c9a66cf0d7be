"""What a file says of its network is checked, when it is written and when it is read."""

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from saved import about, write

import foveate
from foveate.errors import RequestError


def test_file_of_others_says_what_to_do(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, None)
    with pytest.raises(RequestError, match=r"does not say what network.*foveate\.load_weights"):
        foveate.load(path)
    write(path, {"format": 2})
    with pytest.raises(RequestError, match="has format 2, this foveate reads 1: update foveate"):
        foveate.load(path)
    foveate.save(timm.create_model("cifar_resnet20_se"), path)
    known = about(path)
    write(path, {**known, "backbone": {"name": "resnet18", "args": {"checkpoint_path": "x.pth"}}})
    with pytest.raises(RequestError, match="reaches for other files"):
        foveate.load(path)
    write(path, known, timm.create_model("cifar_resnet20").state_dict())
    with pytest.raises(RequestError, match="attention whose weights it does not hold"):
        foveate.load(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": "cat"}, "classes: given 'cat', expected a list of names"),
        ({"classes": ["cat", 3]}, "expected a list of names"),
        ({"classes": ["cat", "dog"]}, r"2 classes \(\['cat', 'dog'\]\) for a network with 10 outputs"),
        ({"preprocessing": {"mead": (0.5,)}}, "unknown key of preprocessing 'mead'. Did you mean 'mean'"),
        ({"preprocessing": [0.5]}, "preprocessing: given"),
        ({"preprocessing": {"input_size": 32}}, r"input_size: given 32, expected \(C, H, W\)"),
        ({"preprocessing": {"input_size": (32, 32)}}, "input_size: given"),
        ({"preprocessing": {"input_size": (3, 32, -1)}}, "input_size: given"),
        ({"preprocessing": {"input_size": (3, 32, 32.0)}}, "input_size: given"),
        ({"preprocessing": {"input_size": (32, 32, 3)}}, r"the network takes 3 channels: expected.* C = 3"),
        ({"preprocessing": {"mean": (0.5,)}}, "mean: given .* expected 3 numbers"),
        ({"preprocessing": {"mean": 0.5}}, "mean: given 0.5, expected 3 numbers"),
        ({"preprocessing": {"std": (0.5, 0.5, 0)}}, "std: given .* expected 3 numbers above 0"),
        ({"preprocessing": {"crop_pct": 0}}, "crop_pct: given 0"),
        ({"preprocessing": {"crop_mode": "middle"}}, "crop_mode: given 'middle', expected 'center' or"),
        ({"preprocessing": {"interpolation": 2}}, "interpolation: given 2"),
    ],
)
@pytest.mark.parametrize("backbone", ["auto", None])
def test_classes_and_preprocessing_are_checked(tmp_path, arguments, message, backbone):
    with pytest.raises(RequestError, match=message):
        foveate.save(
            timm.create_model("cifar_resnet20"), tmp_path / "a.safetensors", backbone=backbone, **arguments
        )
    assert list(tmp_path.iterdir()) == []


def test_classes_of_before_do_not_stay_with_another_head(tmp_path):
    path = tmp_path / "a.safetensors"
    foveate.save(timm.create_model("cifar_resnet20", num_classes=2), path, classes=("cat", "dog"))
    model = foveate.load(path)
    model.reset_classifier(3)
    with pytest.raises(
        RequestError, match=r"2 classes .* 3 outputs: pass classes=.* or classes=\[\] to name none"
    ):
        foveate.save(model, path)
    foveate.save(model, path, classes=[])
    assert about(path)["classes"] is None


GROUP = ("attention", 0)


def within(*path, value):
    """The metadata with another value at `path`; without one if it is `...`."""

    def change(said: dict) -> dict:
        inner = said
        for step in path[:-1]:
            inner = inner[step]
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        return said

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (within("backbone", value=...), "'backbone' is missing"),
        (within("backbone", value="resnet18"), "backbone: given 'resnet18', expected a name and args"),
        (within("backbone", "args", value=...), "backbone: given"),
        (within("backbone", "name", value=3), "backbone's name: given 3"),
        (within("backbone", "args", value=[]), "backbone's args: given"),
        (within("backbone", "args", "act_layer", value={"x": 1}), "backbone's act_layer: given"),
        (
            within("backbone", "args", "nonsense", value=1),
            r"cannot build timm\.create_model\('cifar_resnet20_se'",
        ),
        (within("backbone", "name", value="resnet19"), "cannot build resnet19: unknown backbone"),
        (within("network", value=...), "'network' is missing"),
        (within("network", value=None), "network: given None"),
        (within("attention", value={}), "attention: given {}, expected a list"),
        (within("attention", 0, value=3), r"attention\[0\]: given 3"),
        (within(*GROUP, "at", value=...), r"attention\[0\]: given"),
        (within(*GROUP, "added", value=1), r"attention\[0\]: given .* exactly name, position"),
        (within(*GROUP, "name", value=None), r"attention\[0\]'s name"),
        (within(*GROUP, "name", value="see"), "unknown attention mechanism 'see'"),
        (
            within(*GROUP, "position", value="between"),
            "position: given 'between', expected 'after' or 'before'",
        ),
        (within(*GROUP, "identity_init", value=1), "identity_init: given 1"),
        (within(*GROUP, "options", value=[]), "options: given"),
        (
            within(*GROUP, "options", "added", value=1),
            "cannot build the attention: unknown option of se 'added'",
        ),
        (within(*GROUP, "at", value=["layer1"]), "expected channels by path"),
        (within(*GROUP, "at", "layer1", value="16"), "channels at 'layer1': given '16'"),
        (within(*GROUP, "at", "layer9", value=16), "has no module 'layer9'"),
        (within("classes", value="cat"), "classes: given 'cat'"),
        (within("classes", value=["cat"]), "1 classes .* with 10 outputs"),
        (within("preprocessing", value=[1]), r"preprocessing: given \[1\]"),
        (within("preprocessing", "input_size", value=[3, 32]), "input_size: given"),
    ],
)
def test_malformed_metadata_are_refused_with_the_path(tmp_path, change, message):
    path = tmp_path / "a.safetensors"
    foveate.save(timm.create_model("cifar_resnet20_se"), path)
    write(path, change(about(path)))
    with pytest.raises(RequestError, match=message) as refused:
        foveate.load(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', "[" * 100_000])
def test_metadata_that_are_no_description(tmp_path, text):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(1)}, path, {"foveate": text})
    with pytest.raises(RequestError, match="does not say what network it holds"):
        foveate.load(path)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("torchvision/fasterrcnn_resnet50_fpn", {"num_classes": 2}),
        ("torchvision/deeplabv3_resnet50", {"weights_backbone": "DEFAULT"}),
        ("torchvision/retinanet_resnet50_fpn", {"weights_backbone": "DEFAULT"}),
        ("torchvision/resnet18", {"weights": "DEFAULT"}),
        ("torchvision/quantized_resnet18", {}),
        ("hf-hub:someone/net", {}),
        ("local-dir:/tmp", {}),
        ("someone/net", {}),
        ("resnet18", {"pretrained": True}),
        ("resnet18", {"pretrained_cfg": "a1_in1k"}),
        ("resnet18", {"pretrained_strict": False}),
        ("resnet18", {"checkpoint_path": "x.pth"}),
        ("resnet18", {"cache_dir": "/tmp"}),
        ("resnet18", {"state_dict": "x"}),
    ],
)
def test_files_from_elsewhere_fetch_and_open_nothing(tmp_path, monkeypatch, name, args):
    def refuse(*args, **kwargs):
        pytest.fail("it built something")

    path = tmp_path / "a.safetensors"
    foveate.save(timm.create_model("cifar_resnet20"), path)
    said = about(path) | {"backbone": {"name": name, "args": args}, "classes": None}
    write(path, said)
    monkeypatch.setattr(torchvision.models, "get_model", refuse)
    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(RequestError, match="reaches for other files"):
        foveate.load(path)


def test_size_that_the_network_does_not_take(tmp_path):
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2)
    with pytest.raises(
        RequestError, match=r"VisionTransformer does not take an image \(C, H, W\) = \(3, 32, 32\)"
    ):
        foveate.save(model, tmp_path / "a.safetensors", preprocessing={"input_size": (3, 32, 32)})
