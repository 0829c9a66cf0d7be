"""Coordinate attention: Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021.

arXiv:2103.02907.
"""

import torch
from torch import Tensor, nn

from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_count


class CoordinateAttention(nn.Module):
    """X ⊙ g_h ⊙ g_w, (B, C, H, W) -> (B, C, H, W) (eqs. 4-8).

    f = δ(BN(F₁([z_h ; z_w]))), with z_h and z_w the means of X over width and over height, stacked along one
    axis of length H + W, and F₁: C -> max(C/r, 8); g_h = σ(F_h(f_h)) is a gate per row, g_w = σ(F_w(f_w)) one
    per column. δ is the h-swish of the authors' code (the equations leave it open), and so is the floor of 8
    channels. That code's bias of F₁ is left out: the batch norm behind it cancels it.
    """

    def __init__(self, channels: int, reduction: int = 32, min_channels: int = 8) -> None:
        super().__init__()
        check_count("channels", channels)
        hidden = max(
            channels // check_count("reduction", reduction), check_count("min_channels", min_channels)
        )
        self.embed = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), AnySizeBatchNorm2d(hidden), nn.Hardswish()
        )
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the rows and the columns of every channel of x."""
        z_h = x.mean(dim=3, keepdim=True)
        z_w = x.mean(dim=2, keepdim=True).transpose(2, 3)
        f_h, f_w = self.embed(torch.cat([z_h, z_w], dim=2)).split([x.shape[2], x.shape[3]], dim=2)
        g_h = torch.sigmoid(self.rows(f_h))
        g_w = torch.sigmoid(self.columns(f_w.transpose(2, 3)))
        return x * g_h * g_w
