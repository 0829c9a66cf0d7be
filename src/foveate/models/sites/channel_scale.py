"""A scale for each channel, in place of attention that is a constant which no layer beside it can take."""

from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import create_attention

__all__ = ["CHANNEL_SCALE", "ChannelScale", "create_module"]

CHANNEL_SCALE = "channel_scale"
"""The name in the description of a file. It is no mechanism: a network has it after folding alone."""


class ChannelScale(nn.Module):
    """x ⊙ weight, (B, C, H, W) -> (B, C, H, W), with a learnable weight (C,) that starts at 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of x."""
        return x * self.weight[:, None, None]


def create_module(name: str, channels: int, **options: Any) -> nn.Module:
    """Build what a network has at a site: a mechanism (see `create_attention`), or a `ChannelScale`."""
    return ChannelScale(channels) if name == CHANNEL_SCALE else create_attention(name, channels, **options)
