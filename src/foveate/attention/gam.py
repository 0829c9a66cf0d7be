"""Global attention: Liu, Shao, Hoffmann, "Global Attention Mechanism", 2021, arXiv:2112.05561.

Without the group convolutions and the channel shuffle that the paper offers to save parameters.
"""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_kernel_size, hidden_channels


class GAM(nn.Module):
    """F₂ = M_c(F₁) ⊗ F₁, F₃ = M_s(F₂) ⊗ F₂, (B, C, H, W) -> (B, C, H, W) (eqs. 1 and 2).

    M_c = σ(MLP over the channels of each position), C -> C/r -> C with a ReLU; the paper permutes the map to
    put the channels last for it, which a 1×1 convolution need not. M_s = σ(f⁷ˣ⁷(ReLU(BN(f⁷ˣ⁷(F₂))))),
    C -> C/r -> C. Nothing is pooled.

    Follows the paper's figures, where the sigmoid of M_c comes after the reverse permutation; some published
    code omits it. The figures show neither norms nor biases. Chosen: biases in the MLP, one batch norm
    between the convolutions as in published code, and r = 16. With these in each block, ResNet-50 for
    CIFAR-100 has the paper's 149.47 M parameters. With that code's biases of the convolutions and its batch
    norm before the last sigmoid it would have 149.52 M, with its r = 4 far more.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        padding = check_kernel_size("kernel_size", kernel_size) // 2
        self.mlp = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size, padding=padding, bias=False),
            AnySizeBatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, kernel_size, padding=padding, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weight each element of x by the channels of its position, then by its neighbourhood."""
        x = x * intermediate("channel", torch.sigmoid(self.mlp(x)))
        return x * intermediate("spatial", torch.sigmoid(self.spatial(x)))
