"""Bottleneck attention: Park et al., "BAM: Bottleneck Attention Module", BMVC 2018, arXiv:1807.06514.

Follows the paper's equations. The authors' code multiplies the two branches, which the paper adds, has batch
norms between the layers instead of one at the end of each branch, and pools square windows, so that it needs
square maps. The ReLUs between its layers, which the equations do not show, are kept here.
"""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import LARGEST_KERNEL, check_count, hidden_channels


class ChannelBranch(nn.Module):
    """M_c = BN(W₁ · ReLU(W₀ · AvgPool(F) + b₀)), C -> C/r -> C: (B, C, H, W) -> (B, C, 1, 1) (eq. 3).

    The equation's b₁ is omitted: the batch norm behind it cancels it.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )
        self.norm = AnySizeBatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each channel of x."""
        return self.norm(self.mlp(x.mean(dim=(2, 3), keepdim=True)))


class SpatialBranch(nn.Module):
    """M_s = BN(f₃¹ˣ¹(f₂³ˣ³(f₁³ˣ³(f₀¹ˣ¹(F))))), C -> C/r -> C/r -> C/r -> 1 (eq. 4).

    (B, C, H, W) -> (B, 1, H, W). f₁ and f₂ are dilated, f₀ to f₂ end in a ReLU. f₃ has no bias: the
    batch norm behind it cancels it.
    """

    def __init__(self, channels: int, hidden: int, dilation: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 1, bias=False),
        )
        self.norm = AnySizeBatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each position of x."""
        return self.norm(self.convs(x))


class BAM(nn.Module):
    """F + F ⊗ M(F) with M(F) = σ(M_c(F) + M_s(F)), (B, C, H, W) -> (B, C, H, W) (eqs. 1 and 2).

    The paper puts it at the end of a network's first three stages, with r = 16 and dilation 4.
    """

    def __init__(self, channels: int, reduction: int = 16, dilation: int = 4) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        self.channel = ChannelBranch(channels, hidden)
        self.spatial = SpatialBranch(
            channels, hidden, check_count("dilation", dilation, at_most=LARGEST_KERNEL)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add to x the product of x and the gate that both branches give."""
        M_c, M_s = intermediate("channel", self.channel(x)), intermediate("spatial", self.spatial(x))
        M = intermediate("gate", torch.sigmoid(M_c + M_s))
        return x + x * M
