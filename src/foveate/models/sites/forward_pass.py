"""What a forward pass that only looks at a network needs: example images, and evaluation mode for a while."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.torch_private import forward_hooks_of

__all__ = [
    "drop_forward_hooks",
    "example_images",
    "input_channels",
    "on_meta",
    "random_image",
    "timm_config",
]

SIZES = (224, 32)
"""Sides in pixels of the images that are tried where a network does not declare a size, in this order."""


def timm_config(model: nn.Module) -> Mapping[str, Any]:
    """Return what `model` declares of its images and classes: timm's `pretrained_cfg`, or an empty one."""
    return getattr(model, "pretrained_cfg", None) or {}


def input_channels(model: nn.Module) -> int:
    """Return the channels of the images that `model` takes: those of its first convolution, or else 3."""
    stem = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return stem.in_channels if stem else 3


def example_images(model: nn.Module) -> list[Tensor]:
    """Return images (1, C, H, W) of zeros to try one after the other, with the dtype and device of `model`.

    The first is as large as `model` declares, where it does; then come sides of 224 and 32 pixels.
    """
    declared = timm_config(model).get("input_size")
    sizes = [tuple(declared[1:])] if declared else []
    like = next(model.parameters(), torch.empty(0))
    return [
        torch.zeros(1, input_channels(model), *size, dtype=like.dtype, device=like.device)
        for size in (*sizes, *((side, side) for side in SIZES))
    ]


def random_image(model: nn.Module, size: Sequence[int] | None = None) -> Tensor:
    """Return an image (1, C, H, W) in 0..1, the same each time, with the dtype and device of `model`.

    `size` is (C, H, W), by default as many channels as `model` takes, at 224×224 pixels.
    """
    shape = (input_channels(model), 224, 224) if size is None else tuple(size)
    like = next(model.parameters(), torch.empty(0))
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), device="cpu")
    return image.to(like.device, like.dtype)


def drop_forward_hooks(copied: nn.Module) -> None:
    """Remove the forward hooks of a copy: whoever listens to the network does not hear of it."""
    for module in copied.modules():
        for hooks in forward_hooks_of(module):
            hooks.clear()


def on_meta(model: nn.Module) -> nn.Module:
    """Return a copy of `model` on the meta device, which takes no memory and computes no values."""
    weights = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor.to("meta") for tensor in weights})
