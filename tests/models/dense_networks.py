"""Small detectors and segmenters, and what they are trained on, for several test files."""

from typing import Any

import torch
from torch import Tensor, nn

from foveate.models.dense import DETECTORS, create_detector, create_segmenter

SMALL: dict[str, dict[str, Any]] = {
    "fasterrcnn": {"fpn_channels": 16, "representation_size": 16, "box_score_thresh": 0.0},
    "fcos": {"fpn_channels": 64, "score_thresh": 0.0},
    "retinanet": {"fpn_channels": 16, "score_thresh": 0.0},
    "deeplabv3": {"decoder_channels": 16},
    "deeplabv3plus": {"decoder_channels": 16},
    "fpn": {"decoder_channels": 64},
    "unet": {},
}
TARGETS = [
    {"boxes": torch.tensor([[4.0, 6, 30, 44], [40, 8, 88, 60]]), "labels": torch.tensor([1, 2])},
    {"boxes": torch.tensor([[10.0, 10, 80, 50]]), "labels": torch.tensor([2])},
]


def small(name: str, backbone: str, **options: Any) -> nn.Module:
    """The same weights at each call, for two classes and images of 64×96 pixels."""
    torch.manual_seed(0)
    arguments = {"classes": 2} | SMALL[name] | options
    if name in DETECTORS:
        return create_detector(name, backbone, **{"image_size": 64} | arguments)
    return create_segmenter(name, backbone, **arguments)


def images(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, 64, 96, generator=torch.Generator().manual_seed(1))


def loss_of(name: str, network: nn.Module) -> Tensor:
    if name in DETECTORS:
        return sum(network.train()(images(), TARGETS).values())
    return network.train()(images()).square().mean()


@torch.no_grad()
def answers(name: str, network: nn.Module) -> list[Tensor]:
    found = network.eval()(images()[:1])
    return list(found[0].values()) if name in DETECTORS else [found]
