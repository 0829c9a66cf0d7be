"""Coordinate attention: Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021.

arXiv:2103.02907.
"""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_count
from foveate.kernels import fast_paths


class CoordinateAttention(nn.Module):
    """X ⊙ g_h ⊙ g_w, (B, C, H, W) -> (B, C, H, W) (eqs. 4-8).

    f = δ(BN(F₁([z_h ; z_w]))), with z_h and z_w the means of X over width and over height, stacked along one
    axis of length H + W, and F₁: C -> max(C/r, 8); g_h = σ(F_h(f_h)) is a gate per row, g_w = σ(F_w(f_w)) one
    per column. δ is the h-swish of the authors' code (the equations do not name it), which also has the
    minimum of 8 channels. That code's bias of F₁ is omitted: the batch norm behind it cancels it.
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

    def gates(self, z_h: Tensor, z_w: Tensor) -> tuple[Tensor, Tensor]:
        """Return g_h (B, C, H, 1) and g_w (B, C, W, 1) from z_h and z_w of the same shapes."""
        f_h, f_w = self.embed(torch.cat([z_h, z_w], dim=2)).split([z_h.shape[2], z_w.shape[2]], dim=2)
        return torch.sigmoid(self.rows(f_h)), torch.sigmoid(self.columns(f_w))

    @fast_paths("ca")
    def forward(self, x: Tensor) -> Tensor:
        """Weight the rows and the columns of each channel of x."""
        z_h = x.mean(dim=3, keepdim=True)
        z_w = x.mean(dim=2, keepdim=True).transpose(2, 3)
        g_h, g_w = self.gates(z_h, z_w)
        return x * intermediate("height", g_h) * intermediate("width", g_w.transpose(2, 3))
