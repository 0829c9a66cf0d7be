"""Spatial gated fusion attention: Haq et al., "Spatial Gated Fusion Attention in ConvNeXt", 2025.

IJRASET 13 VII, doi 10.22214/ijraset.2025.73344. The article prints three equations and no code. What it does
not specify is marked "chosen", and was chosen so that the counted multiply-adds are those of its Table I.
"""

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import check_count, check_kernel_size, hidden_channels
from foveate.attention.spatial import SpatialMask


class SGFAChannelMask(nn.Module):
    """M_c ⊙ X with M_c = σ(W₂ · GELU(W₁ · GAP(X))), (B, C, H, W) -> (B, C, H, W) (eq. 2): `sgfa_ca`.

    Chosen: GELU for the article's "Activation", r = 16, no biases.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.GELU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of x."""
        return x * intermediate("M_c", torch.sigmoid(self.mlp(x.mean(dim=(2, 3), keepdim=True))))


class SCPA(nn.Module):
    """Spatial-channel parallel attention, Y = X + Conv1×1([M_s ⊙ X ; M_c ⊙ X]), 2C -> C (eq. 3).

    (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        self.channel = SGFAChannelMask(channels, reduction)
        self.spatial = SpatialMask(kernel_size)
        self.fuse = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add to x the fusion of x under both masks."""
        return x + self.fuse(torch.cat([self.spatial(x), self.channel(x)], dim=1))


class SGU(nn.Module):
    """Spatial gated unit, Y + D(GELU(E(U))) ⊙ σ(DWConv7×7(U)) with U = Norm(Y).

    (B, C, H, W) -> (B, C, H, W). The article names the unit and prints only its cost. Chosen: the equation;
    E: C -> 4C and D: 4C -> C pointwise; Norm is the layer norm over channels that the article mentions, as in
    ConvNeXt's blocks.
    """

    def __init__(self, channels: int, expansion: int = 4, kernel_size: int = 7) -> None:
        super().__init__()
        check_kernel_size("kernel_size", kernel_size)
        hidden = check_count("channels", channels) * check_count("expansion", expansion)
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.act = nn.GELU()
        self.reduce = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, y: Tensor) -> Tensor:
        """Add to y its gated pointwise expansion."""
        u = self.norm(y)
        return y + self.reduce(self.act(self.expand(u))) * intermediate("gate", torch.sigmoid(self.gate(u)))


class SGFA(nn.Module):
    """SGU(SCPA(X)), (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7, expansion: int = 4) -> None:
        super().__init__()
        self.scpa = SCPA(channels, reduction, kernel_size)
        self.sgu = SGU(channels, expansion, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse both masks of x, then gate the result."""
        return self.sgu(self.scpa(x))
