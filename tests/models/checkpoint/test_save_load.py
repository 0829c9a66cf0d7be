"""A network is saved in one file, and comes back from it whole."""

import pytest
import timm
import torch
import torchvision
from saved import about
from timm.data import resolve_model_data_config
from torch import nn

import foveate
from foveate.errors import DiskError, RequestError
from foveate.models import attached
from foveate.models.sites.attach import placements
from foveate.models.sites.outputs import tensors_in


def moved(model: nn.Module, channels: int = 3) -> nn.Module:
    """Give the running statistics values of their own, in eval."""
    torch.manual_seed(2)
    with torch.no_grad():
        model.train()(torch.rand(4, channels, 32, 32))
    return model.eval()


NETWORKS = {
    "registered": lambda: timm.create_model("cifar_resnet20_dmsca", num_classes=7, zero_init_last=False),
    "plain": lambda: timm.create_model("cifar_resnet20", in_chans=1),
    "registered and detached": lambda: foveate.detach(timm.create_model("cifar_resnet20_se")),
    "two mechanisms": lambda: foveate.attach(
        foveate.attach(timm.create_model("cifar_resnet20"), "dmsca", stages=(2, 3), kernel_sizes=(3, 5)),
        "sgfa",
        stages=[1],
        identity_init=True,
    ),
    "before a module": lambda: foveate.attach(timm.create_model("convnext_atto"), "cbam"),
    "named modules": lambda: foveate.attach(
        timm.create_model("cifar_resnet20"), "se", at=["conv1", "layer2"]
    ),
    "another head": lambda: headed(timm.create_model("cifar_resnet20_eca")),
}


def headed(model: nn.Module) -> nn.Module:
    model.fc = nn.Linear(64, 3)
    return model


@pytest.mark.parametrize("kind", NETWORKS)
def test_comes_back_bit_for_bit(tmp_path, kind):
    model = NETWORKS[kind]()
    channels = model.state_dict()[next(iter(model.state_dict()))].shape[1]
    moved(model, channels)
    foveate.save(model, tmp_path / "a.safetensors")
    random = torch.get_rng_state()
    loaded = foveate.load(tmp_path / "a.safetensors")
    assert torch.equal(torch.get_rng_state(), random)
    x = torch.rand(2, channels, 32, 32)
    assert torch.equal(loaded(x), model(x))
    assert placements(loaded) == placements(model)
    assert not loaded.training


def test_dtype_is_kept(tmp_path):
    model = NETWORKS["registered"]().to(torch.bfloat16)
    foveate.save(model, tmp_path / "a.safetensors")
    loaded = foveate.load(tmp_path / "a.safetensors")
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}


def test_classes_and_preprocessing_come_back_where_timm_looks(tmp_path):
    model = timm.create_model("cifar_resnet20_se", num_classes=2, in_chans=1)
    own = {"input_size": (1, 24, 24), "mean": (0.5,), "std": (0.25,), "crop_pct": 0.75}
    foveate.save(model, tmp_path / "a.safetensors", classes=["cat", "dog"], preprocessing=own)
    loaded = foveate.load(tmp_path / "a.safetensors")
    assert loaded.pretrained_cfg["label_names"] == ["cat", "dog"]
    config = resolve_model_data_config(loaded)
    assert {key: config[key] for key in own} == own
    foveate.save(loaded, tmp_path / "b.safetensors")  # and are saved again without being said again
    assert about(tmp_path / "b.safetensors")["classes"] == ["cat", "dog"]
    assert about(tmp_path / "b.safetensors")["preprocessing"]["crop_pct"] == 0.75


def test_preprocessing_of_timm_is_told_for_the_channels_that_there_are(tmp_path):
    foveate.save(timm.create_model("cifar_resnet20", in_chans=1), tmp_path / "a.safetensors")
    said = about(tmp_path / "a.safetensors")["preprocessing"]
    assert said["input_size"] == [1, 32, 32]
    assert said["mean"] == [pytest.approx((0.4914 + 0.4822 + 0.4465) / 3)]


def test_saving_leaves_the_model_as_it_was(tmp_path):
    model = timm.create_model("cifar_resnet20_se").train()
    model.layer1.eval()
    modes = [module.training for module in model.modules()]
    foveate.save(model, tmp_path / "a.safetensors")
    assert [module.training for module in model.modules()] == modes


def test_what_compiling_and_parallel_training_put_around_a_network_is_left_out(tmp_path):
    model = NETWORKS["registered"]()
    foveate.save(torch.compile(nn.DataParallel(model)), tmp_path / "a.safetensors")
    assert list(foveate.load(tmp_path / "a.safetensors").state_dict()) == list(model.state_dict())


def test_torchvision_by_name(tmp_path):
    model = moved(foveate.attach(torchvision.models.resnet18(num_classes=5), "eca"))
    foveate.save(model, tmp_path / "a.safetensors", backbone="torchvision/resnet18")
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(foveate.load(tmp_path / "a.safetensors")(x), model(x))


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )


def test_network_of_ones_own_is_filled(tmp_path):
    model = foveate.attach(small(), "se", at="1", reduction=2).eval()
    foveate.save(model, tmp_path / "a.safetensors")
    with pytest.raises(RequestError, match=r"holds a Sequential, which foveate cannot build.*model="):
        foveate.load(tmp_path / "a.safetensors")
    own = small()
    assert foveate.load(tmp_path / "a.safetensors", model=own) is own
    x = torch.rand(2, 3, 9, 9)
    assert torch.equal(own(x), model(x))


def test_file_of_another_network_is_refused_and_the_model_left_alone(tmp_path):
    foveate.save(timm.create_model("cifar_resnet20_se"), tmp_path / "a.safetensors")
    other = timm.create_model("cifar_resnet20", num_classes=3)
    with pytest.raises(RequestError, match=r"not those of this CifarResNet \(2 differ in shape: fc.weight"):
        foveate.load(tmp_path / "a.safetensors", model=other)
    assert attached(other) == {}
    with pytest.raises(RequestError, match="no module 'layer1.0.bn2' to put se at"):
        foveate.load(tmp_path / "a.safetensors", model=small())


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (
            lambda: timm.create_model("cifar_resnet20", act_layer="gelu", zero_init_last=False),
            {},
            r"act1: GELU\(\) here, ReLU\(inplace=True\) there\. Pass backbone_args=",
        ),
        (
            lambda: nn.Sequential(timm.create_model("cifar_resnet20")),
            {"backbone": "cifar_resnet20"},
            r"it gives a CifarResNet, this is a Sequential\. Save it with backbone=None",
        ),
        (small, {"backbone": "resnet19"}, "cannot build resnet19"),
        (small, {"backbone": "hf-hub:someone/net"}, "reaches for other files"),
        (
            small,
            {"backbone": "resnet18", "backbone_args": {"checkpoint_path": "x.pth"}},
            "reaches for other files",
        ),
        (small, {"backbone": "../resnet18"}, "reaches for other files"),
        (
            small,
            {"backbone": "torchvision/fasterrcnn_resnet50_fpn"},
            "neither a classifier nor a segmenter, and reaches for other files",
        ),
        (small, {"backbone": "torchvision/resnet19"}, r"cannot build torchvision/resnet19.*'resnet18'"),
        (
            lambda: timm.create_model("cifar_resnet20"),
            {"backbone_args": {"act_layer": nn.GELU}},
            "must be JSON",
        ),
        (
            lambda: timm.create_model("cifar_resnet20"),
            {"backbone_args": {"block_args": {"x": 1}}},
            "backbone's block_args: given .*x.* expected a number",
        ),
        (small, {"backbone": 3}, "backbone is 3: expected a name"),
        (small, {"preprocessing": {"crop_pct": float("nan")}}, "crop_pct: given nan"),
    ],
)
def test_what_could_not_be_rebuilt_is_not_written(tmp_path, build, arguments, message):
    with pytest.raises(RequestError, match=message):
        foveate.save(build(), tmp_path / "a.safetensors", **arguments)
    assert list(tmp_path.iterdir()) == []


class Wrapped(nn.Module):
    """A network of one's own around timm's, whose name it declares."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = timm.create_model("cifar_resnet8", num_classes=4)
        self.pretrained_cfg = self.inner.pretrained_cfg

    def forward(self, x):
        return {"logits": self.inner(x), "features": [self.inner.forward_features(x)]}


ANY = {
    "features": (lambda: timm.create_model("resnet18", features_only=True, out_indices=(1, 3)), {}),
    "features of a mobilenet": (
        lambda: timm.create_model("mobilenetv3_small_050", features_only=True, in_chans=1),
        {},
    ),
    "segmenter": (
        lambda: torchvision.models.segmentation.lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=4
        ),
        {"backbone": "torchvision/lraspp_mobilenet_v3_large"},
    ),
    "segmenter with an auxiliary head": (
        lambda: torchvision.models.segmentation.fcn_resnet50(
            weights=None, weights_backbone=None, num_classes=4, aux_loss=True
        ),
        {"backbone": "torchvision/fcn_resnet50"},
    ),
    "detector": (
        lambda: torchvision.models.detection.retinanet_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=4, min_size=64, max_size=96
        ),
        {},
    ),
    "own": (Wrapped, {}),
}
UNKNOWN = ("detector", "own")
"""foveate cannot build these."""


@pytest.mark.parametrize("kind", ANY)
def test_networks_that_are_no_classifiers_come_back(tmp_path, kind):
    torch.manual_seed(0)
    build, arguments = ANY[kind]
    model = foveate.attach(build(), "cbam", reduction=4).eval()
    foveate.save(model, tmp_path / "a.safetensors", **arguments)
    if kind in UNKNOWN:
        with pytest.raises(
            RequestError, match=rf"holds a {type(model).__name__}, which foveate cannot build"
        ):
            foveate.load(tmp_path / "a.safetensors")
    own = build() if kind in UNKNOWN else None
    loaded = foveate.load(tmp_path / "a.safetensors", model=own)
    assert placements(loaded) == placements(model) != []
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    x = torch.rand(1, first.in_channels, 64, 64)
    with torch.no_grad():
        expected, found = tensors_in(model(x)), tensors_in(loaded(x))
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))


def test_arguments_of_the_backbone_are_kept(tmp_path):
    model = timm.create_model("cifar_resnet20", act_layer="gelu", zero_init_last=False)
    foveate.save(moved(model), tmp_path / "a.safetensors", backbone_args={"act_layer": "gelu"})
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(foveate.load(tmp_path / "a.safetensors")(x), model(x))


def test_folder_of_a_study_names_one_of_its_runs(tmp_path):
    (tmp_path / "runs" / "3f2a").mkdir(parents=True)
    (tmp_path / "runs" / "3f2a" / "weights.safetensors").touch()
    with pytest.raises(RequestError, match="such as the run .*3f2a"):
        foveate.load(tmp_path)


def test_folder_without_weights(tmp_path):
    with pytest.raises(RequestError, match=r"has no weights\.safetensors and no model\.safetensors"):
        foveate.load(tmp_path)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot write"):
        foveate.save(timm.create_model("cifar_resnet20"), tmp_path / "file" / "a.safetensors")


class Tied(nn.Module):
    """A convolution with two names, and two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.again = self.stem
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.right.weight = self.left.weight
        self.register_buffer("wide", torch.ones(1).expand(4))

    def forward(self, x):
        return self.right(self.left(self.again(x).mean((2, 3)))) * self.wide


def test_tensors_with_two_names_come_back_as_one(tmp_path):
    model = foveate.attach(Tied(), "se", at="stem", reduction=2).eval()
    foveate.save(model, tmp_path / "a.safetensors")
    loaded = foveate.load(tmp_path / "a.safetensors", model=Tied())
    assert loaded.right.weight is loaded.left.weight
    assert loaded.again is loaded.stem
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    x = torch.rand(2, 3, 5, 5)
    assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize("backbone", ["auto", None])
def test_network_without_memory_is_not_saved(tmp_path, backbone):
    with torch.device("meta"):
        model = timm.create_model("cifar_resnet20")
    with pytest.raises(RequestError, match=r"conv1\.weight of CifarResNet has no values.*meta device"):
        foveate.save(model, tmp_path / "a.safetensors", backbone=backbone)


@pytest.mark.parametrize("meta", [False, True])
def test_filling_draws_no_random_numbers_of_the_caller(tmp_path, meta):
    foveate.save(foveate.attach(small(), "se", at="1", reduction=2), tmp_path / "a.safetensors")
    with torch.device("meta" if meta else "cpu"):
        own = small()
    before = torch.get_rng_state()
    foveate.load(tmp_path / "a.safetensors", model=own)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(parameter.is_meta for parameter in own.parameters())


def test_only_the_plain_network_is_filled(tmp_path):
    foveate.save(small(), tmp_path / "a.safetensors")
    own = foveate.attach(small(), "se", at="1", reduction=2)
    for given in (own, nn.DataParallel(small())):
        with pytest.raises(RequestError, match="has attention already: pass the network without"):
            foveate.load(tmp_path / "a.safetensors", model=given)
    assert len(attached(own)) == 1


@pytest.mark.parametrize("device", ["cuda:99", "cuba", 1.5])
def test_device_that_is_not_there(tmp_path, device):
    with pytest.raises(RequestError, match=r"device '.*' is not there .*: pass one that is"):
        foveate.load(tmp_path / "a.safetensors", device=device)
