"""Mechanisms set up for values worked out by hand: exact norms, all weights 0 but those that are put."""

import math

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from foveate import create_attention
from foveate.attention.norm import AnySizeBatchNorm2d

LN3 = math.log(3)

Rows = list[list[float]]


def build(name: str, channels: int = 2, **options) -> nn.Module:
    """Build the mechanism in float64 and eval, with exact norms and all weights 0."""
    module = create_attention(name, channels, **options).double().eval()
    for part in module.modules():
        if isinstance(part, AnySizeBatchNorm2d | LayerNorm2d):
            part.eps = 0.0
        elif isinstance(part, nn.Conv1d | nn.Conv2d):
            for parameter in part.parameters():
                nn.init.zeros_(parameter)
    return module


@torch.no_grad()
def put(conv: nn.Conv2d, middle: Rows, bias: list[float] | None = None) -> None:
    """Set the middle of the kernel, (out, in per group), and the bias."""
    height, width = conv.kernel_size
    conv.weight[:, :, height // 2, width // 2] = torch.tensor(middle, dtype=conv.weight.dtype)
    if bias is not None:
        conv.bias.copy_(torch.tensor(bias))


def run(module: nn.Module, x: Rows) -> Tensor:
    """Apply the module to one image a pixel high, given and returned a channel a row."""
    with torch.no_grad():
        return module(torch.tensor(x, dtype=torch.float64)[None, :, None, :])[0, :, 0, :]


def check(module: nn.Module, x: Rows, expected: Rows) -> None:
    torch.testing.assert_close(run(module, x), torch.tensor(expected, dtype=torch.float64))
