"""Squeeze-and-Excitation: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507."""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import hidden_channels


class SE(nn.Module):
    """X̃ = σ(W₂ · ReLU(W₁ · GAP(X))) ⊙ X, (B, C, H, W) -> (B, C, H, W) (eqs. 2-4).

    W₁: C -> C/r, W₂: C/r -> C. The equations show no biases. The authors' code has them, the 28.09 M
    parameters that the paper prints for SE-ResNet-50 include them, and so they are here.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of x."""
        z = x.mean(dim=(2, 3), keepdim=True)
        s = intermediate("channel", torch.sigmoid(self.expand(torch.relu(self.reduce(z)))))
        return x * s
