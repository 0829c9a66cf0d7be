"""The classifiers of torchvision as backbones, for any number of channels and classes, and their weights.

torchvision is imported where it is used: whoever takes timm's networks needs none of this.
"""

import re
from collections.abc import Container, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.preprocessing import Preprocessing

__all__ = [
    "create_torchvision",
    "current_keys",
    "first_convolution",
    "image_side",
    "pretrained_preset",
    "pretrained_url",
    "special_arguments",
]

IMAGE_SIZE = 224
AUXILIARY = ("googlenet", "inception_v3")
AUXILIARY_KEYS = ("aux1.", "aux2.", "AuxLogits.")
"""How the keys of auxiliary heads begin."""
OLD_KEY = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")
"""Keys of torchvision's files for DenseNets, which are of before its modules were renamed."""


def create_torchvision(name: str, *, in_chans: int = 3, **arguments: Any) -> nn.Module:
    """Build torchvision's `name` with random weights, its first convolution for `in_chans` channels.

    Where these are not 3, the weights of that convolution are drawn as in He et al. 2015, by its outputs.
    """
    import torchvision

    device = torch.get_default_device()
    # The constructor of RegNets reads the values of tensors, which those on the meta device have not.
    with torch.device("cpu" if name.startswith("regnet_") else device):
        network: nn.Module = torchvision.models.get_model(name, **arguments).to(device)
    path, stem = first_convolution(network)
    if in_chans != stem.in_channels:
        network.set_submodule(path, _with_channels(stem, in_chans))
    return network


def special_arguments(name: str, image_size: int, *, pretrained: bool, channels: int) -> Arguments:
    """Return the arguments that the constructor of `name` needs beside classes and channels.

    Networks whose constructor takes the image size get it. Networks with auxiliary heads, which would change
    the training step, are built without them; their pretrained weights expect the network to normalise images
    again.
    """
    if name in AUXILIARY:
        own = {"aux_logits": False, "init_weights": True}
        return own | ({"transform_input": True} if pretrained and channels == 3 else {})
    if name.startswith("vit_") and image_size != IMAGE_SIZE:
        return {"image_size": image_size}
    if name.startswith("maxvit_") and image_size != IMAGE_SIZE:
        return {"input_size": [image_size, image_size]}
    return {}


def pretrained_preset(name: str) -> Preprocessing | None:
    """Return how images are prepared for torchvision's weights for `name`; None if there are no weights."""
    weights = _weights(name)
    if weights is None:
        return None
    preset = weights.transforms()
    (crop,), (size,) = preset.crop_size, preset.resize_size
    return Preprocessing(
        input_size=(3, crop, crop),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
        crop_pct=crop / size,
    )


def image_side(name: str) -> int:
    """Return the side in pixels of the images that torchvision's weights for `name` are for, or else 224."""
    preset = pretrained_preset(name)
    return preset["input_size"][-1] if preset else IMAGE_SIZE


def pretrained_url(name: str) -> str | None:
    """Return where torchvision's weights for `name` are; None if there are no weights."""
    weights = _weights(name)
    return None if weights is None else str(weights.url)


def current_keys(weights: Mapping[str, Tensor], known: Container[str]) -> dict[str, Tensor]:
    """Return `weights` by the keys of today's modules, without auxiliary heads that are not in `known`."""
    renamed = {OLD_KEY.sub(r"\1\2", key): value for key, value in weights.items()}
    return {
        key: value for key, value in renamed.items() if key in known or not key.startswith(AUXILIARY_KEYS)
    }


def first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d]:
    """Return the convolution that takes the images, and its path."""
    return next((path, module) for path, module in network.named_modules() if isinstance(module, nn.Conv2d))


def _weights(name: str) -> Any:
    import torchvision

    return getattr(torchvision.models.get_model_weights(name), "DEFAULT", None)


def _with_channels(stem: nn.Conv2d, channels: int) -> nn.Conv2d:
    settings: Arguments = {
        name: getattr(stem, name) for name in ("kernel_size", "stride", "padding", "dilation")
    }
    with torch.device(stem.weight.device):
        made = nn.Conv2d(channels, stem.out_channels, bias=stem.bias is not None, **settings)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made
