"""Global attention: Liu, Shao, Hoffmann, "Global Attention Mechanism", 2021, arXiv:2112.05561.

The plain form, without the group convolutions and the channel shuffle that the paper offers as a saving.
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

    Follows the paper's figures. Circulating code forgets the sigmoid of M_c; there it comes after the
    reverse permutation. The figures show neither norms nor biases: chosen are the MLP's biases, the one batch
    norm that circulating code has between the convolutions, and r = 16, because with them, in every block,
    ResNet-50 for CIFAR-100 has the paper's 149.47 M parameters. That code's biases of the convolutions and
    its batch norm before the last sigmoid would make it 149.52 M, its r = 4 far more.
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
        """Weigh every element of x by its position's channels, then by its surroundings."""
        x = x * intermediate("channel", torch.sigmoid(self.mlp(x)))
        return x * intermediate("spatial", torch.sigmoid(self.spatial(x)))
