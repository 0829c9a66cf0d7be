"""A backbone made wider or deeper, by the arguments of timm's constructor.

Wider: each stage has `width` times its channels, in whole numbers, as finely as the family allows. Deeper:
`extra_blocks` more residual blocks, where the deeper members of the family have theirs: in networks of four
stages in the third (ResNet-50, -101 and -152 differ there, as ConvNeXt-T and -S do); in those of three
(ResNets for CIFAR, whose deeper members have more in all stages) in the last, the middle and the first in
turn.
"""

import functools
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import timm
import torch
from timm.models.convnext import ConvNeXt
from timm.models.resnet import ResNet
from torch import nn

from foveate.errors import RequestError
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.cifar_resnet import CifarResNet

__all__ = ["create_timm", "scaled_arguments"]

MULTIPLIED: dict[str, tuple[str, float]] = {
    "efficientnet_b0": ("efficientnet._gen_efficientnet", 1.0),
    "mobilenetv2_050": ("efficientnet._gen_mobilenet_v2", 0.5),
    "mobilenetv2_100": ("efficientnet._gen_mobilenet_v2", 1.0),
    "mobilenetv2_140": ("efficientnet._gen_mobilenet_v2", 1.4),
    "mobilenetv3_large_075": ("mobilenetv3._gen_mobilenet_v3", 0.75),
    "mobilenetv3_large_100": ("mobilenetv3._gen_mobilenet_v3", 1.0),
    "mobilenetv3_small_050": ("mobilenetv3._gen_mobilenet_v3", 0.5),
    "mobilenetv3_small_075": ("mobilenetv3._gen_mobilenet_v3", 0.75),
    "mobilenetv3_small_100": ("mobilenetv3._gen_mobilenet_v3", 1.0),
}
"""Networks that are one definition at several multiples of its channels: what builds them, and the multiple.

timm's constructors fix the multiple of a name; the functions that they call take any, and round channels to
multiples of 8. timm also multiplies depths, but of all stages at once, which is not a number of blocks.
"""
FAMILIES = f"timm's ResNets and ConvNeXts and foveate's cifar_resnets; in width also {', '.join(MULTIPLIED)}"


class Shape(NamedTuple):
    """Channels and blocks of every stage, under the names of the constructor's arguments."""

    width_name: str
    channels: tuple[int, ...]
    depth_name: str
    blocks: tuple[int, ...]
    stem_follows: bool


def scaled_arguments(name: str, width: float = 1.0, extra_blocks: int = 0) -> Arguments:
    """Return the arguments of `create_timm` for `width` times the channels and `extra_blocks` more blocks.

    They are empty where neither is asked for. The stem of the cifar_resnets grows with the first stage, whose
    channels are then even; that of timm's ResNets keeps the 64 channels that it has in the whole family, and
    a wider first stage of basic blocks begins with a projection. ConvNeXt's stem is as wide as its first
    stage.

    Raises:
        RequestError: an invalid width, or a network whose constructor has no such argument.
    """
    if not 0 < width < float("inf") or extra_blocks < 0:
        raise RequestError(
            f"width = {width}, extra_blocks = {extra_blocks}: expected a number above 0, and 0 or more blocks"
        )
    if width == 1 and extra_blocks == 0:
        return {}
    plain = name.partition(".")[0]
    if plain in MULTIPLIED and extra_blocks == 0:
        return {"channel_multiplier": MULTIPLIED[plain][1] * width}
    shape = None if plain in MULTIPLIED else _shape(name)
    if shape is None:
        asked = "deeper" if extra_blocks else "wider"
        raise RequestError(f"{name} cannot be made {asked}: give a network of a family that can, {FAMILIES}")
    arguments: Arguments = {}
    if width != 1:
        channels = [max(round(count * width), 1) for count in shape.channels]
        if shape.stem_follows:
            half = max(round(shape.channels[0] * width / 2), 1)
            channels[0] = 2 * half
            arguments = {"stem_type": "deep", "stem_width": half}
        arguments[shape.width_name] = channels
    if extra_blocks:
        arguments[shape.depth_name] = _deepen(shape.blocks, extra_blocks)
    return arguments


def create_timm(name: str, **arguments: Any) -> nn.Module:
    """Call `timm.create_model`, and take `channel_multiplier` for the networks that are defined by one."""
    if "channel_multiplier" not in arguments:
        return timm.create_model(name, **arguments)
    plain = name.partition(".")[0]
    if plain not in MULTIPLIED:
        raise RequestError(f"{name} has no channel_multiplier: {', '.join(MULTIPLIED)} have")
    network: nn.Module = attrgetter(MULTIPLIED[plain][0])(timm.models)(name, **arguments)
    return network


@functools.cache
def _shape(name: str) -> Shape | None:
    """Read the stages of the network called `name` from the network itself; None for other families."""
    if not timm.is_model(name):
        return None
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network: Any = timm.create_model(name)
    family = type(network)
    if issubclass(family, ResNet):
        stages = [getattr(network, info["module"]) for info in network.feature_info[1:]]
        widths = tuple(info["num_chs"] // stages[0][0].expansion for info in network.feature_info[1:])
        blocks = tuple(len(stage) for stage in stages)
        return Shape("channels", widths, "layers", blocks, stem_follows=issubclass(family, CifarResNet))
    if issubclass(family, ConvNeXt):
        widths = tuple(info["num_chs"] for info in network.feature_info)
        blocks = tuple(len(stage.blocks) for stage in network.stages)
        return Shape("dims", widths, "depths", blocks, stem_follows=False)
    return None


def _deepen(blocks: Sequence[int], extra: int) -> list[int]:
    deeper = list(blocks)
    if len(deeper) > 3:
        deeper[-2] += extra
        return deeper
    for number in range(extra):
        deeper[-1 - number % len(deeper)] += 1
    return deeper
