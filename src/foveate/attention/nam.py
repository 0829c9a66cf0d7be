"""Normalisation-based attention: Liu et al., "NAM", NeurIPS workshop 2021, arXiv:2111.12419."""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.attention.options import check_count


class NAM(nn.Module):
    """F ⊗ M_c with M_c = σ(W_γ (BN(F))), (B, C, H, W) -> (B, C, H, W) (eqs. 1 and 2).

    W_γ = |γ_i| / Σ |γ_j|, γ the scales of the batch norm, one per channel. The equation prints no absolute
    values; they are from the authors' code. That code detaches γ in W_γ; here, as in the equation, γ gets its
    gradient from both uses.

    The paper's spatial part normalises pixels with one scale per pixel, so it fits maps of one size only. The
    authors released the channel part alone and, separately, both parts with a ReLU before the sigmoid of the
    channel part. This is the channel part without the ReLU, as in the equation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AnySizeBatchNorm2d(check_count("channels", channels))

    def forward(self, x: Tensor) -> Tensor:
        """Weight the elements of x; channels with a small scale get almost uniform weights."""
        gamma = self.norm.weight.abs()
        W_gamma = gamma / gamma.sum().clamp_min(
            torch.finfo(gamma.dtype).tiny
        )  # the scales of a pruned norm are all 0
        M_c = torch.sigmoid(W_gamma.to(x.dtype)[:, None, None] * self.norm(x))
        return x * intermediate("gate", M_c)
