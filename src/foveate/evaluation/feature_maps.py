"""The output of a layer as a map (B, C, H, W): unchanged, from channels last, or from a grid of tokens."""

import math
from typing import Any

from torch import Tensor, nn

from foveate.errors import RequestError

__all__ = ["feature_map", "is_channels_last"]

CHANNELS_LAST = {"torchvision.models.swin_transformer.SwinTransformer": ("permute", "avgpool")}
"""Networks with maps (B, H, W, C) that do not declare it, and their modules that are exceptions."""
CHANNELS_LAST_BLOCKS = (
    "timm.models.maxxvit.ParallelPartitionAttention",
    "timm.models.maxxvit.PartitionAttentionCl",
)
"""Blocks with maps (B, H, W, C), inside and out, in networks that have others too."""


def is_channels_last(network: nn.Module, layer: str) -> bool:
    """Return whether a 4-d output of the module at `layer` is (B, H, W, C).

    It is for linear layers and layer norms, which work on the last dimension, and in networks that declare it
    (timm's `output_fmt`) or are known for it, also where they are the backbone of another.
    """
    if type(network.get_submodule(layer)) in (nn.Linear, nn.LayerNorm):
        return True
    steps = layer.split(".")
    modules = [network, *(network.get_submodule(".".join(steps[:n])) for n in range(1, len(steps) + 1))]
    for module in modules[1:]:
        names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__}
        if not names.isdisjoint(CHANNELS_LAST_BLOCKS):
            return "attention" not in steps  # foveate's attention gets (B, C, H, W) everywhere
    for place, module in enumerate(modules):  # the network, or a backbone in a detector or a segmenter
        if str(getattr(module, "output_fmt", "")).upper().endswith("NHWC"):
            return True
        for cls in type(module).__mro__:
            exceptions = CHANNELS_LAST.get(f"{cls.__module__}.{cls.__qualname__}")
            if exceptions is not None:
                return ".".join(steps[place:]) not in exceptions
    return False


def feature_map(network: nn.Module, layer: str, output: Any, size: tuple[int, int]) -> Tensor:
    """Return the `output` of the module at `layer` for images of `size` (height, width) as (B, C, h, w).

    Tokens (B, N, C) become a grid with the image's proportions; class and register tokens, which come first,
    are skipped.

    Raises RequestError for an output that is no map, for tokens that fill no grid, and for a map of 1×1.
    """
    if not isinstance(output, Tensor) or output.ndim not in (3, 4):
        given = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise RequestError(
            f"layer {layer!r} of {type(network).__name__} gives {given}: expected a feature map, "
            "(B, C, H, W), or tokens, (B, N, C)"
        )
    if output.ndim == 3:
        maps = _grid(network, layer, output, size)
    else:
        maps = output.movedim(3, 1) if is_channels_last(network, layer) else output
    if maps.shape[2:].numel() == 1:
        raise RequestError(
            f"layer {layer!r} of {type(network).__name__} gives maps of 1×1 for images of "
            f"{size[0]}×{size[1]}, which have no positions: name an earlier layer, or pass larger images"
        )
    return maps


def _grid(network: nn.Module, layer: str, tokens: Tensor, size: tuple[int, int]) -> Tensor:
    first = getattr(network, "num_prefix_tokens", 1 if hasattr(network, "class_token") else 0)
    count = tokens.shape[1] - first
    height = round(math.sqrt(max(count, 0) * size[0] / size[1]))
    if height < 1 or count % height or abs(count / height / height - size[1] / size[0]) > 1 / height:
        raise RequestError(
            f"layer {layer!r} of {type(network).__name__} gives {tokens.shape[1]} tokens, which fill no "
            f"grid of the proportions {size[0]}×{size[1]}: name another layer"
        )
    return tokens[:, first:].transpose(1, 2).unflatten(2, (height, count // height))
