"""A network that is built for explaining: the layer whose maps are made, and the device it runs on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveate.evaluation.cam import cam_maps
from foveate.inspection.trained import Trained
from foveate.models.sites.target_layers import default_layer, find_layer

__all__ = ["BuiltNetwork", "build_network"]


@dataclass(frozen=True)
class BuiltNetwork:
    """A trained network in eval mode on `device`, and the path of the layer whose maps are made."""

    trained: Trained
    network: nn.Module
    layer: str
    device: torch.device

    def prepare(self, images: Tensor) -> Tensor:
        """Return images (B, C, S, S) in 0..1 as the network takes them, on its device."""
        return self.trained.normalise(images.to(self.device))

    def maps(self, images: Tensor, method: str, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return maps (B, S, S) and logits (B, K) of images (B, C, S, S) in 0..1; see `cam_maps`."""
        return cam_maps(self.network, self.layer, self.prepare(images), method, targets)


def build_network(trained: Trained, layer: str | None, example: Tensor, device: torch.device) -> BuiltNetwork:
    """Build `trained` and find its layer: the one at the path `layer`, by default the end of the last stage.

    Args:
        example: an image (1, C, S, S) in 0..1; a stage whose maps have one pixel for it is skipped.

    Raises:
        RequestError: the network has no such layer.
    """
    network = trained.network(device)
    if layer is not None:
        found = find_layer(network, layer)
    else:
        found = default_layer(network, trained.normalise(example.to(device)))
    return BuiltNetwork(trained, network, found, device)
