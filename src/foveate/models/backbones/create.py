"""Backbones by name: timm's (foveate's are registered there), or torchvision's, as `torchvision/NAME`.

Each is built as it is defined, with its own stem and patches, for any image size. One thing is adapted: a
network whose constructor takes the image size gets it (in timm those with `fixed_input_size`, in torchvision
the ViTs and MaxViT). A network that cannot take images of that size is refused.
"""

import itertools

import timm
import torch
from torch import nn

from foveate.errors import RequestError, first_line
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.call import BackboneCall, record_call
from foveate.models.backbones.names import TORCHVISION, check_backbone
from foveate.models.backbones.scaling import create_timm, scaled_arguments
from foveate.models.backbones.torchvision import (
    IMAGE_SIZE,
    create_torchvision,
    image_side,
    pretrained_preset,
    special_arguments,
)

__all__ = [
    "check_image_size",
    "create_backbone",
    "has_pretrained_weights",
    "own_image_size",
]

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""Sides in pixels that are tried to find the sizes that a network takes."""
NAMED = 3


def own_image_size(name: str) -> int:
    """Return the side in pixels of the images that the network called `name` is made for, 224 if unknown."""
    if name.startswith(TORCHVISION):
        return image_side(name.removeprefix(TORCHVISION))
    config = timm.get_pretrained_cfg(name)
    return int(config.input_size[-1]) if config else IMAGE_SIZE


def has_pretrained_weights(name: str) -> bool:
    """Return whether there are pretrained weights for the network called `name`."""
    if name.startswith(TORCHVISION):
        return pretrained_preset(name.removeprefix(TORCHVISION)) is not None
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    return bool(config and config.has_weights)


def create_backbone(
    name: str,
    *,
    classes: int,
    channels: int = 3,
    image_size: int | None = None,
    for_weights: bool = False,
    width: float = 1.0,
    extra_blocks: int = 0,
) -> nn.Module:
    """Build the network called `name` for images (B, channels, image_size, image_size) and `classes` logits.

    `image_size` None is the network's own. `width` and `extra_blocks` change its shape (see scaling.py).
    `for_weights` builds the network as its pretrained weights expect it (see `create_pretrained`, which loads
    them). `foveate.save` and `foveate.load` build the network again.

    Raises:
        RequestError: an unknown name (the nearest is named), a family that has no other widths, or a size
            that the network cannot be built for.
    """
    check_backbone(name)
    size = own_image_size(name) if image_size is None else image_size
    arguments = _arguments(name, size, channels, for_weights) | scaled_arguments(name, width, extra_blocks)
    arguments |= {"num_classes": classes, "in_chans": channels}
    network = _build(name, arguments)
    if name.startswith(TORCHVISION):
        preset = pretrained_preset(name.removeprefix(TORCHVISION)) or {}
        network.pretrained_cfg = {**preset, "architecture": name, "input_size": (3, size, size)}  # type: ignore[assignment]
    record_call(network, BackboneCall(name.partition(".")[0], arguments))
    return network


def check_image_size(name: str, image_size: int, *, classes: int, channels: int = 3) -> None:
    """Run the network on two images, in training and evaluation mode, on the meta device where it can.

    Raises:
        RequestError: it cannot take them; the smallest sizes that it takes are named.
    """
    if _fault(name, image_size, classes, channels, "meta") is None:
        return
    if fault := _fault(name, image_size, classes, channels, "cpu"):
        raise RequestError(
            f"{name} cannot take images of {image_size}×{image_size} pixels ({first_line(fault)}): "
            f"{_sizes_taken(name, classes, channels)}"
        )


def _arguments(name: str, image_size: int, channels: int, for_weights: bool) -> Arguments:
    """Return the arguments of the constructor beside classes and channels."""
    if name.startswith(TORCHVISION):
        plain = name.removeprefix(TORCHVISION)
        return special_arguments(plain, image_size, pretrained=for_weights, channels=channels)
    config = timm.get_pretrained_cfg(name)
    fixed = config is not None and config.fixed_input_size and image_size != config.input_size[-1]
    return {"img_size": image_size} if fixed else {}


def _build(name: str, arguments: Arguments) -> nn.Module:
    try:
        return _create(name, arguments)
    except Exception as error:  # timm and torchvision raise what they like
        size = next(
            (arguments[key] for key in ("img_size", "image_size", "input_size") if key in arguments), 0
        )
        if not size:
            raise RequestError(f"cannot build {name}: {first_line(error)}") from error
        side = size[0] if isinstance(size, list) else size
        taken = _sizes_taken(name, arguments["num_classes"], arguments["in_chans"])
        raise RequestError(
            f"{name} cannot be built for images of {side}×{side} pixels ({first_line(error)}): {taken}"
        ) from error


def _create(name: str, arguments: Arguments) -> nn.Module:
    if name.startswith(TORCHVISION):
        return create_torchvision(name.removeprefix(TORCHVISION), **arguments)
    return create_timm(name, **arguments)


def _fault(name: str, image_size: int, classes: int, channels: int, device: str) -> Exception | None:
    """Return what the network raises for two such images in a training step or in inference, if anything."""
    arguments = _arguments(name, image_size, channels, for_weights=False)
    arguments |= {"num_classes": classes, "in_chans": channels}
    try:
        with torch.device(device), torch.random.fork_rng(devices=[]), torch.no_grad():
            network = _create(name, arguments)
            images = torch.zeros(2, channels, image_size, image_size)
            network.train()(images)
            network.eval()(images)
    except Exception as error:  # each network refuses in its own way
        return error
    return None


def _sizes_taken(name: str, classes: int, channels: int) -> str:
    """Name the smallest image sizes that the network takes, and what to do."""
    sizes = sorted({*SIZES, own_image_size(name)})
    fitting = (size for size in sizes if _fault(name, size, classes, channels, "meta") is None)
    smallest = [str(size) for size in itertools.islice(fitting, NAMED)]
    if not smallest:
        return f"give --image-size {own_image_size(name)}, which it was made for"
    return f"the smallest usual sizes that it takes are {', '.join(smallest)}; give one as --image-size"
