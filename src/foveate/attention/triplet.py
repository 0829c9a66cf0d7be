"""Triplet attention: Misra et al., "Rotate to Attend", WACV 2021, arXiv:2010.03045."""

import torch
from torch import Tensor, nn

from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_count, check_kernel_size


class Gate(nn.Module):
    """X ⊙ σ(BN(Conv_k×k(Z-pool(X)))) with Z-pool(X) = [max over dim 1 ; mean over dim 1], 2 -> 1 (eq. 1).

    The convolution has no bias, as in the authors' code.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = AnySizeBatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x by a map over its last two dimensions."""
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.norm(self.conv(pooled)))


class TripletAttention(nn.Module):
    """⅓ (gate over (C, W) + gate over (H, C) + gate over (H, W)), (B, C, H, W) -> (B, C, H, W) (eq. 3).

    The first two gates see the map rotated, so that they pool over its height and over its width. The three
    share nothing: 3 · (2 k² + 2) parameters a module. The authors' code moves the running statistics with a
    momentum of 0.01; here it is torch's 0.1.
    """

    def __init__(self, channels: int, kernel_size: int = 7) -> None:
        super().__init__()
        check_count("channels", channels)
        check_kernel_size("kernel_size", kernel_size)
        self.channel_width = Gate(kernel_size)
        self.height_channel = Gate(kernel_size)
        self.height_width = Gate(kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x by how each two of its dimensions meet."""
        y_cw = self.channel_width(x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)
        y_hc = self.height_channel(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
        y_hw = self.height_width(x)
        return (y_cw + y_hc + y_hw) / 3
