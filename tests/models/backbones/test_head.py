"""The classifier head of a network: found by a forward pass, counted, and replaced."""

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.models.backbones.head import (
    declared_head,
    find_head,
    last_layer,
    replace_head,
    timm_outputs,
    width_of,
)

SIZE = (3, 64, 64)
HEADS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "resnet": (lambda: timm.create_model("cifar_resnet8", num_classes=4), "fc"),
    "with attention": (
        lambda: foveate.attach(timm.create_model("cifar_resnet8", num_classes=4), "se"),
        "fc",
    ),
    "mobilenet": (lambda: timm.create_model("mobilenetv3_small_050", num_classes=4), "classifier"),
    "convnext": (lambda: timm.create_model("convnext_atto", num_classes=4), "head.fc"),
    "pooled convolution": (lambda: timm.create_model("resnetv2_18", num_classes=4), "head.fc"),
    "convolution": (lambda: torchvision.models.squeezenet1_1(num_classes=4), "classifier.1"),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_head_is_found_and_replaced(name: str) -> None:
    build, path = HEADS[name]
    network = build()
    network.train().get_submodule(path).eval()
    found, head = find_head(network, SIZE)
    assert (found, width_of(head)) == (path, 4)
    assert declared_head(network) == path
    assert last_layer(network) == (path, head)
    assert timm_outputs(network) == (4 if name not in ("convolution", "pooled convolution") else None)
    assert network.training
    assert not head._forward_hooks
    torch.manual_seed(3)
    assert replace_head(network, 7, SIZE) is network
    torch.manual_seed(3)
    drawn = (
        nn.Linear(head.in_features, 7) if isinstance(head, nn.Linear) else nn.Conv2d(head.in_channels, 7, 1)
    )
    new = network.get_submodule(path)
    assert torch.equal(new.weight, drawn.weight)
    assert not new.training
    assert network.eval()(torch.zeros(1, *SIZE)).shape == (1, 7)
    assert getattr(network, "num_classes", 7) == 7


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean((2, 3)).repeat(1, 4)) + self.layer(x.amax((2, 3)).repeat(1, 4))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Flatten(), "Flatten has no linear layer"),
        (Twice(), "Twice ends with layer"),
        (
            nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "ends with 0, a Conv2d of 6",
        ),
        (nn.Conv2d(3, 2, 1), "Conv2d has no linear layer"),
    ],
)
def test_other_ends_are_refused_by_name(network: nn.Module, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        find_head(network, SIZE)


def test_a_network_without_layers_has_no_head() -> None:
    assert last_layer(nn.Flatten()) is None
    assert declared_head(nn.Flatten()) is None
