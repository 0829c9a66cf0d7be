"""What is built again is the network that was saved, also where its answers do not show it."""

import pytest
import timm
import torchvision
from torch import nn

import foveate
from foveate.errors import RequestError

# What acts in training alone, or is not to be seen yet: by its module, or by the network's attribute.
OTHERWISE = {
    "stochastic depth": (
        {"drop_path_rate": 0.1},
        r"layer1\.1\.drop_path: DropPath\(drop_prob=0\.0\d+\) here, ",
    ),
    "dropout": (
        {"drop_rate": 0.25},
        r"CifarResNet\(drop_rate=0\.25\) here, CifarResNet\(drop_rate=0\.0\) there",
    ),
    "activation": ({"act_layer": "leaky_relu"}, r"act1: LeakyReLU\(.*here, ReLU"),
}


@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_acts_otherwise_in_training_has_to_be_said(tmp_path, kind):
    args, message = OTHERWISE[kind]
    model = timm.create_model("cifar_resnet20", **args)  # whose residual branches are 0 at the start
    path = tmp_path / "a.safetensors"
    with pytest.raises(RequestError, match=message + ".*Pass backbone_args="):
        foveate.save(model, path)
    foveate.save(model, path, backbone_args=args)
    loaded = foveate.load(path)
    assert loaded.drop_rate == model.drop_rate
    assert str(loaded) == str(model)


def changed(change) -> nn.Module:
    model = timm.create_model("cifar_resnet20")
    change(model)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: setattr(m.bn1, "eps", 1e-3),
            r"bn1: BatchNorm2d\(16, eps=0\.001.* here, BatchNorm2d\(16, eps=1e",
        ),
        (lambda m: setattr(m.bn1, "momentum", 0.01), r"bn1: .*momentum=0\.01.* here, .*momentum=0\.1"),
        (lambda m: m.add_module("late", nn.Dropout(0.5)), r"late: Dropout\(p=0\.5.*\) here, nothing there"),
        (lambda m: setattr(m.layer1[1].conv1, "weight", m.layer1[0].conv1.weight), "are one tensor here"),
    ],
)
def test_what_was_changed_afterwards_is_named(tmp_path, change, message):
    with pytest.raises(RequestError, match=message):
        foveate.save(changed(change), tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.act1, "inplace", False),
        lambda m: m.set_grad_checkpointing(),
        lambda m: setattr(m, "best_accuracy", 0.5),
        lambda m: nn.init.constant_(m.fc.weight, float("nan")),
        lambda m: setattr(m, "bn1", nn.SyncBatchNorm.convert_sync_batchnorm(m.bn1)),
    ],
)
def test_what_changes_nothing_is_saved(tmp_path, change):
    foveate.save(changed(change), tmp_path / "a.safetensors")
    assert isinstance(foveate.load(tmp_path / "a.safetensors"), type(timm.create_model("cifar_resnet20")))


def test_answers_are_compared_too(tmp_path):
    model = timm.create_model("cifar_resnet20")
    model.register_forward_hook(lambda module, args, output: output + 1)
    with pytest.raises(RequestError, match="its modules are the same, and it answers otherwise"):
        foveate.save(model, tmp_path / "a.safetensors")


def test_torchvision_rates_and_heads_of_convolutions(tmp_path):
    path = tmp_path / "a.safetensors"
    model = torchvision.models.squeezenet1_1(num_classes=4, dropout=0.1)
    with pytest.raises(
        RequestError, match=r"models\.get_model\('squeezenet1_1', num_classes=4\) does not.*p=0\.1"
    ):
        foveate.save(model, path, backbone="torchvision/squeezenet1_1")
    foveate.save(model, path, backbone="torchvision/squeezenet1_1", backbone_args={"dropout": 0.1})
    assert foveate.load(path).classifier[0].p == 0.1
