"""Backbones by name, timm's and torchvision's, and the images that they take."""

import pytest
import timm
import torch
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models.backbones import create as backbones
from foveate.models.backbones.create import (
    check_image_size,
    create_backbone,
    has_pretrained_weights,
    own_image_size,
)
from foveate.models.backbones.names import check_backbone

SHUFFLENET = "torchvision/shufflenet_v2_x0_5"

ARTICLE = {  # the SGFA article's Table II, in M; of MobileNetV3 and EfficientViT it prints 1.24 and 7.5
    "resnet50": 23.53,
    "mobilenetv3_small_100": 1.53,
    "efficientvit_m4": 8.42,
    "swin_tiny_patch4_window7_224": 27.51,
    "torchvision/shufflenet_v2_x1_0": 1.26,
    "convnext_tiny": 27.83,
    "convnext_tiny_sgfa": 29.83,
}


@pytest.mark.parametrize("name", ARTICLE)
def test_the_networks_of_the_article_take_images_of_cifar(name):
    check_image_size(name, 32, classes=10)
    with torch.device("meta"):
        network = create_backbone(name, classes=10, image_size=32)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == ARTICLE[name]


@pytest.mark.parametrize(
    ("name", "channels"), [("efficientvit_m0", 3), (SHUFFLENET, 1), ("mobilenetv3_small_050", 4)]
)
def test_a_step_at_32_pixels_moves_every_weight_there_is(name, channels):
    network = create_backbone(name, classes=10, channels=channels, image_size=32)
    logits = network.train()(torch.rand(2, channels, 32, 32))
    assert logits.shape == (2, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.eval()(torch.rand(1, channels, 32, 32)).isfinite().all()


def test_swin_keeps_its_windows_and_shrinks_them_to_smaller_maps():
    # Patches of 4 make maps of 8, 4, 2 and 1 patches. Of windows of 7 the first stage needs two, padded.
    with torch.device("meta"):
        network = create_backbone("swin_tiny_patch4_window7_224", classes=10, image_size=32)
    windows = [layer.blocks[1].window_size[0] for layer in network.layers]
    shifts = [layer.blocks[1].shift_size[0] for layer in network.layers]
    assert (windows, shifts) == ([7, 4, 2, 1], [3, 0, 0, 0])


def test_only_networks_that_ask_are_told_the_size():
    told = {
        name: {"img_size", "image_size", "input_size"}
        & set(create_backbone(name, classes=2, image_size=64).built_from.args)
        for name in ("cifar_resnet20", "efficientvit_m0", SHUFFLENET, "torchvision/squeezenet1_1")
    }
    assert told == {
        "cifar_resnet20": set(),
        "efficientvit_m0": {"img_size"},
        SHUFFLENET: set(),
        "torchvision/squeezenet1_1": set(),
    }
    with torch.device("meta"):
        assert create_backbone("torchvision/vit_b_16", classes=2, image_size=32).image_size == 32


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("torchvision/alexnet", 32, r"alexnet cannot take images of 32×32 .*takes are 64, 96, 128; give one"),
        ("torchvision/vit_b_16", 30, r"vit_b_16 cannot take images of 30×30 .*takes are 32, 48, 64; give"),
        ("torchvision/maxvit_t", 32, r"not divisible by partition size 7.*takes are 224; give one"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_with_those_that_do(name, size, message):
    with pytest.raises(RequestError, match=message):
        check_image_size(name, size, classes=10)


def test_a_training_step_is_tried_too(monkeypatch):
    class OnlyInference(nn.Module):
        def forward(self, images):
            if self.training:
                raise ValueError("Expected more than 1 value per channel when training")
            return images

    monkeypatch.setattr(backbones, "_create", lambda name, arguments: OnlyInference())
    with pytest.raises(
        RequestError, match=r"more than 1 value per channel.*: give --image-size 224, which it"
    ):
        check_image_size("resnet18", 32, classes=10)


def test_a_network_that_cannot_be_built_for_a_size_says_so_at_once():
    with pytest.raises(
        RequestError, match=r"maxvit_t cannot be built for images of 32×32 pixels .*takes are 224"
    ):
        create_backbone("torchvision/maxvit_t", classes=10, image_size=32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "unknown backbone 'resnet51'. Did you mean .*'resnet50'"),
        ("torchvision/shufflenet_v2", "Did you mean 'torchvision/shufflenet_v2"),
        ("torchvision/fasterrcnn_resnet50_fpn", "unknown backbone"),
        ("torchvision/", "unknown backbone"),
        ("hf-hub:some/one", "unknown backbone"),
        ("resnet50.of_mine", "Invalid pretrained tag .* Leave out what follows the dot"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(RequestError, match=message):
        check_backbone(name)
    with pytest.raises(RequestError, match=message):
        create_backbone(name, classes=2)


def test_what_is_known_of_a_name():
    assert own_image_size("cifar_resnet20") == 32
    assert own_image_size("torchvision/inception_v3") == 299
    assert own_image_size("torchvision/shufflenet_v2_x1_0") == 224
    assert has_pretrained_weights("resnet18")
    assert has_pretrained_weights(SHUFFLENET)
    assert not has_pretrained_weights("cifar_resnet20")


@pytest.mark.parametrize("name", ["torchvision/googlenet", "torchvision/inception_v3"])
def test_networks_with_heads_half_way_come_without(name):
    with torch.device("meta"):
        network = create_backbone(name, classes=2, image_size=96).train()
        assert network(torch.zeros(2, 3, 96, 96)).shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (SHUFFLENET, {"channels": 1}),
        ("torchvision/squeezenet1_1", {"channels": 3}),
        ("cifar_resnet20", {"width": 1.1, "extra_blocks": 1}),
        ("mobilenetv3_small_050", {"width": 1.2}),
        ("efficientvit_m0", {"image_size": 32}),
        ("resnet18.a1_in1k", {"channels": 1}),
    ],
)
def test_what_is_built_is_saved_and_built_again(tmp_path, name, arguments):
    network = create_backbone(name, classes=3, **arguments).eval()
    if "shufflenet" in name:
        foveate.attach(network, "se")
    channels, size = arguments.get("channels", 3), arguments.get("image_size", 64)
    preprocessing = {"input_size": (channels, size, size)}
    images = torch.rand(2, channels, size, size)
    path = tmp_path / "network.safetensors"
    foveate.save(network, path, classes=["a", "b", "c"], preprocessing=preprocessing)
    loaded = foveate.load(path)
    assert torch.equal(loaded(images), network(images))
    if not name.startswith("torchvision/"):  # the name is in timm's networks alone
        foveate.save(loaded, tmp_path / "again.safetensors", preprocessing=preprocessing)


def test_torchvision_networks_say_how_their_images_are_prepared(tmp_path):
    network = create_backbone(SHUFFLENET, classes=2, image_size=48)
    path = tmp_path / "network.safetensors"
    foveate.save(network, path)
    prepared = timm.data.resolve_model_data_config(foveate.load(path))
    assert prepared["input_size"] == (3, 48, 48)
    assert prepared["mean"] == (0.485, 0.456, 0.406)
    assert prepared["crop_pct"] == 224 / 256


def test_a_seed_gives_the_same_network(tmp_path):
    networks = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(create_backbone(SHUFFLENET, classes=2, channels=1).state_dict())
    assert all(torch.equal(networks[0][key], networks[1][key]) for key in networks[0])
