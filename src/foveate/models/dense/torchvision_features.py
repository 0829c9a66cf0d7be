"""torchvision's classifiers as networks that give their feature maps."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveate.models.backbones.torchvision import create_torchvision, special_arguments
from foveate.models.sites.architectures import CHANNELS_LAST
from foveate.models.sites.find import look_up
from foveate.models.sites.forward_pass import input_channels, on_meta

__all__ = ["NotDilatedError", "TorchvisionFeatures", "create_torchvision_features"]

SIDE = 224
"""The side in pixels of the image that the sizes of maps are measured on."""
HEADS = ("avgpool", "AdaptiveAvgPool", "classifier", "dropout", "fc", "head", "norm", "permute", "flatten")
"""How the children are called that turn the last map into logits, in torchvision's classifiers."""


class NotDilatedError(ValueError):
    """A network whose strides cannot be replaced by dilation."""


class TorchvisionFeatures(nn.Module):
    """Run the children of `network` one after another, and return the last map of each size.

    The network keeps its own class and the names of its modules; its classifier is dropped, and its forward
    is never called. ResNets, RegNets and ShuffleNets are such chains, and so are all networks with a child
    called `features`.

    Raises whatever the network does where it is no such chain.
    """

    def __init__(self, network: nn.Module, stride: int | None = None) -> None:
        super().__init__()
        names = [name for name, _ in network.named_children()]
        is_head = [name.startswith(HEADS) for name in names]
        for name in names[is_head.index(True) :] if any(is_head) else []:
            delattr(network, name)
        self.network = network
        self.steps = tuple(_steps(network))
        shapes = self._shapes()
        if stride is not None and shapes[-1][1] > stride:
            self._dilate([one for _, one in shapes], stride)
            shapes = self._shapes()
        # A map is given where the next is smaller, and at the end.
        self.taken = tuple(
            index
            for index, (_, one) in enumerate(shapes)
            if index + 1 == len(shapes) or shapes[index + 1][1] > one
        )
        self.channels = tuple(shapes[index][0] for index in self.taken)
        self.strides = tuple(shapes[index][1] for index in self.taken)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps for images (B, C, H, W), the finest first."""
        maps = []
        for index, step in enumerate(self.steps):
            x = self.network.get_submodule(step)(x)
            if index in self.taken:
                maps.append(x)
        return maps

    def _shapes(self) -> list[tuple[int, int]]:
        """Return the channels and the stride of what each step gives, from one run on the meta device."""
        x = torch.zeros(1, input_channels(self.network), SIDE, SIDE, device="meta")
        dry, shapes = on_meta(self.network).eval(), []
        last = look_up(CHANNELS_LAST, self.network, False)
        for step in self.steps:
            x = dry.get_submodule(step)(x)
            width, height = (x.shape[3], x.shape[1]) if last else (x.shape[1], x.shape[2])
            if x.ndim != 4 or height < 1 or SIDE % height:
                raise ValueError(f"{step} gives {tuple(x.shape)} for an image of {SIDE}×{SIDE} pixels")
            shapes.append((width, SIDE // height))
        return shapes

    def _dilate(self, strides: list[int], stride: int) -> None:
        """Replace the strides of convolutions by dilation, in the steps whose maps would be too coarse.

        The kernels of 3×3 and more of a step are dilated by as much as its map is too coarse, as
        segmentation-models-pytorch does.
        """
        for step, own in zip(self.steps, strides, strict=True):
            if own <= stride:
                continue
            for module in self.network.get_submodule(step).modules():
                if isinstance(module, nn.Conv2d):
                    rate = own // stride
                    module.stride = (1, 1)
                    high, wide = module.kernel_size
                    if high % 2 == 0 or wide % 2 == 0:
                        raise NotDilatedError(f"{step} has a kernel of {high}×{wide}, which has no middle")
                    if high > 1 or wide > 1:
                        module.dilation = (rate, rate)
                        module.padding = (high // 2 * rate, wide // 2 * rate)


def create_torchvision_features(
    name: str, channels: int, stride: int | None, arguments: Mapping[str, Any]
) -> TorchvisionFeatures:
    """Build torchvision's `name` for images of `channels`, with maps of `stride` at most."""
    own = special_arguments(name, SIDE, pretrained=False, channels=channels)
    network = create_torchvision(name, in_chans=channels, **own | dict(arguments))
    return TorchvisionFeatures(network, stride)


def _steps(network: nn.Module) -> list[str]:
    """Return the paths of the modules that run one after another; a Sequential stands for its children."""
    found = []
    for name, child in network.named_children():
        if type(child).forward is nn.Sequential.forward and name in ("features", "layers", "trunk_output"):
            found += [f"{name}.{inner}" for inner, _ in child.named_children()]
        else:
            found.append(name)
    return found
