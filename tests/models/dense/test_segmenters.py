"""Segmenters: equal to those of segmentation-models-pytorch and torchvision, and what they refuse."""

import pytest
import segmentation_models_pytorch as smp
import torch
from dense_networks import images, small
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from foveate.errors import RequestError
from foveate.models.dense import create_segmenter, stride_of

OWN = {"deeplabv3plus": smp.DeepLabV3Plus, "fpn": smp.FPN, "unet": smp.Unet}


@torch.no_grad()
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("backbone", ["resnet18", "convnext_atto"])
def test_logits_and_weights_are_those_of_smps_own(name, backbone):
    networks = []
    for create in (
        lambda: OWN[name](f"tu-{backbone}", encoder_weights=None, classes=2),
        lambda: create_segmenter(name, backbone, classes=2),
    ):
        torch.manual_seed(0)
        networks.append(create().eval())
    own, ours = networks
    assert own.state_dict().keys() == ours.state_dict().keys()
    ours.load_state_dict(own.state_dict())
    assert torch.equal(ours(images()), own(images()))


@torch.no_grad()
def test_deeplabv3_has_torchvisions_head():
    torch.manual_seed(0)
    ours = create_segmenter("deeplabv3", "resnet18", classes=2).eval()
    head = DeepLabHead(512, 2).eval()
    ours.decoder.layers.load_state_dict(
        {key: value for key, value in head.state_dict().items() if not key.startswith("4.")}
    )
    ours.segmentation_head.load_state_dict(head[4].state_dict())
    coarse = ours.encoder(images())[-1]
    assert coarse.shape == (2, 512, 8, 12)
    expected = F.interpolate(head(coarse), size=(64, 96), mode="bilinear", align_corners=False)
    assert torch.equal(ours(images()), expected)


@pytest.mark.parametrize(
    ("name", "backbone", "stride"),
    [
        ("deeplabv3", "cifar_resnet8", 4),
        ("deeplabv3plus", "cifar_resnet8", 4),
        ("unet", "cifar_resnet8", 4),
        ("unet", "torchvision/resnet18", 32),
        ("deeplabv3plus", "torchvision/resnet18", 16),
        ("fpn", "mobilenetv3_small_050", 32),
        ("deeplabv3plus", "mobilenetv3_small_050", 16),
    ],
)
def test_logits_are_as_large_as_the_image(name, backbone, stride):
    network = small(name, backbone, channels=1, classes=5).eval()
    assert stride_of(network) == stride
    with torch.no_grad():
        assert network(torch.rand(1, 1, 2 * stride, 3 * stride)).shape == (1, 5, 2 * stride, 3 * stride)
    with pytest.raises(RequestError, match=f"expected multiples of {stride}"):
        network(torch.rand(1, 1, 2 * stride + 1, 3 * stride))


@pytest.mark.parametrize("norm", ["frozen", "group"])
def test_norms_of_the_whole_network_train(norm):
    network = small("unet", "cifar_resnet8", norm=norm)
    network.train()(images()).square().mean().backward()
    batch = {
        path.split(".")[0] for path, one in network.named_modules() if isinstance(one, torch.nn.BatchNorm2d)
    }
    assert batch == ({"decoder"} if norm == "frozen" else set())


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("pspnet", {}, "unknown segmenter 'pspnet'"),
        ("fpn", {}, "needs maps of strides 4, 8, 16 and 32"),
        ("unet", {"decoder_channels": [8]}, "expected 2 whole numbers"),
        ("deeplabv3", {"decoder_channels": 0}, "expected 1 whole number"),
        ("unet", {"classes": 0}, "classes=0"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, sentence):
    with pytest.raises(RequestError, match=sentence):
        create_segmenter(name, "cifar_resnet8", **{"classes": 2} | options)
