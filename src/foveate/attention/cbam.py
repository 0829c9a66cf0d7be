"""Convolutional block attention: Woo et al., "CBAM", ECCV 2018, arXiv:1807.06521."""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import check_kernel_size, hidden_channels
from foveate.kernels import fast_paths


class ChannelGate(nn.Module):
    """M_c(X) ⊙ X with M_c = σ(MLP(GAP(X)) + MLP(GMP(X))), one shared MLP: C -> C/r -> C (eq. 2).

    It has the biases of the authors' code, which the paper's 28.09 M parameters for ResNet-50 include.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        self.mlp = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of x."""
        average = x.mean(dim=(2, 3), keepdim=True)
        maximum = x.amax(dim=(2, 3), keepdim=True)
        return x * intermediate("channel", torch.sigmoid(self.mlp(average) + self.mlp(maximum)))


class SpatialGate(nn.Module):
    """M_s(X) ⊙ X with M_s = σ(f⁷ˣ⁷([mean over channels of X ; max over channels of X])) (eq. 3).

    Follows the paper's equation. The authors' code concatenates in the other order and has a batch norm
    between convolution and sigmoid. The convolution has no bias, as in that code.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        check_kernel_size("kernel_size", kernel_size)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the positions of x."""
        pooled = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * intermediate("spatial", torch.sigmoid(self.conv(pooled)))


class CBAM(nn.Module):
    """The channel gate, then the spatial gate, (B, C, H, W) -> (B, C, H, W) (eq. 1)."""

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, reduction)
        self.spatial = SpatialGate(kernel_size)

    @fast_paths("cbam")
    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels, then the positions of x."""
        return self.spatial(self.channel(x))
