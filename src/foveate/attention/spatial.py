"""The spatial gate that SGFA and triplet attention share."""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_kernel_size
from foveate.kernels import fast_paths


class SpatialMask(nn.Module):
    """M_s ⊙ X with M_s = σ(BN(Conv_k×k([max over dim 1 of X ; mean over dim 1 of X]))), 2 -> 1, no bias.

    (B, C, H, W) -> (B, C, H, W). Haq et al. 2025, eq. 1, over the channels; the gate over the "Z-pool" of
    Misra et al. 2021, eq. 1, over the dimension that a rotation puts in their place. M_s is recorded
    under `name`.
    """

    def __init__(self, kernel_size: int, name: str = "M_s") -> None:
        super().__init__()
        self.name = name
        check_kernel_size("kernel_size", kernel_size)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = AnySizeBatchNorm2d(1)

    @fast_paths("spatial_mask")
    def forward(self, x: Tensor) -> Tensor:
        """Weight x by a map over its last two dimensions."""
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * intermediate(self.name, torch.sigmoid(self.norm(self.conv(pooled))))
