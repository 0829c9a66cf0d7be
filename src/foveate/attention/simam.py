"""Simple parameter-free attention: Yang et al., "SimAM", ICML 2021, PMLR 139."""

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import check_count, check_positive
from foveate.kernels import fast_paths


class SimAM(nn.Module):
    """X ⊙ σ(1/E), (B, C, H, W) -> (B, C, H, W), with the energy E of every element t of X (eqs. 5 and 6).

    1/e* = (t - μ)² / (4 (σ² + λ)) + ½, where μ and σ² are the mean and the variance of t's channel over its
    M = H·W positions. No parameters. Follows the equation, which divides by M; the paper's listing and the
    authors' code divide by M - 1, which a 1×1 map does not have.

    The paper puts it into residual blocks. The authors' ResNets have it after the second convolution of a
    block and before the norm of that; foveate's block sites are after the last norm. λ is 1e-4, the authors'
    value for CIFAR; for ImageNet they take 0.1. The option is called `e_lambda` as in their code.

    In half precision, under autocast too, the gate is computed in float32: squares of activations above 256
    overflow float16. The output has the dtype of the input.
    """

    def __init__(self, channels: int, e_lambda: float = 1e-4) -> None:
        super().__init__()
        check_count("channels", channels)
        self.e_lambda = check_positive("e_lambda", e_lambda)

    @fast_paths("simam")
    def forward(self, x: Tensor) -> Tensor:
        """Weight each element of x by its squared distance from the mean of its channel."""
        t = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        squared_distance = (t - t.mean(dim=(2, 3), keepdim=True)).square()
        variance = squared_distance.mean(dim=(2, 3), keepdim=True)
        inverse_energy = squared_distance / (4 * (variance + self.e_lambda)) + 0.5
        return x * intermediate("gate", torch.sigmoid(inverse_energy).to(x.dtype))
