"""Efficient channel attention: Wang et al., "ECA-Net", CVPR 2020, arXiv:1910.03151."""

import math

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import check_count, check_kernel_size


def adaptive_kernel_size(channels: int) -> int:
    """Return k = |t|_odd, t = log₂(C)/γ + b/γ with γ = 2 and b = 1 (eq. 12).

    It is the odd number nearest to t, the larger one of two, as in the authors' code.
    """
    t = (math.log2(channels) + 1) / 2
    return 2 * int(t / 2) + 1


class ECA(nn.Module):
    """X ⊙ σ(Conv1D_k(GAP(X))), (B, C, H, W) -> (B, C, H, W) (eqs. 9 and 12).

    One kernel of k weights, without a bias, slides over the channels; `kernel_size=None` adapts k to C.
    """

    def __init__(self, channels: int, kernel_size: int | None = None) -> None:
        super().__init__()
        check_count("channels", channels)
        k = (
            adaptive_kernel_size(channels)
            if kernel_size is None
            else check_kernel_size("kernel_size", kernel_size)
        )
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of x."""
        y = x.mean(dim=(2, 3))
        w = torch.sigmoid(self.conv(y.unsqueeze(1))).squeeze(1)
        return x * intermediate("channel", w[:, :, None, None])
