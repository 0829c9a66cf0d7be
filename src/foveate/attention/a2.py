"""Double attention: Chen et al., "A²-Nets: Double Attention Networks", NeurIPS 2018, arXiv:1810.11579."""

from torch import Tensor, nn

from foveate.attention.intermediates import intermediate
from foveate.attention.options import hidden_channels


class DoubleAttention(nn.Module):
    """X + W · Z, (B, C, H, W) -> (B, C, H, W) (eqs. 3-6).

    Gather: G = A Bᵀ (m × n) with A = φ(X) (m × HW) and B = softmax over the positions of θ(X) (n × HW).
    Distribute: Z = G V (m × HW) with V = softmax over the n features of ρ(X) (n × HW). φ, θ, ρ and W are 1×1
    convolutions, m = n = C/r. Each image is attended to separately; some published code takes a softmax over
    the batch.

    Chosen: r = 2. With two blocks in Res3 and three in Res4 it gives ResNet-50 32.9 M parameters, and r = 4
    gives 29.2 M; the paper prints 33.0 M. Res3 and Res4 are the second and the third stage; here one block is
    at the end of each. θ has no bias: the softmax over positions cancels it.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        hidden = hidden_channels(channels, reduction)
        self.phi = nn.Conv2d(channels, hidden, 1)
        self.theta = nn.Conv2d(channels, hidden, 1, bias=False)
        self.rho = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add to each position of x the features of the whole map that it attends to."""
        H, W = x.shape[2:]
        A = self.phi(x).flatten(2)
        B = intermediate("gather", self.theta(x).flatten(2).softmax(dim=2).unflatten(2, (H, W))).flatten(2)
        V = intermediate("distribute", self.rho(x).softmax(dim=1)).flatten(2)
        G = A @ B.transpose(1, 2).to(A.dtype)  # autocast takes a softmax in float32
        Z = G @ V.to(A.dtype)
        return x + self.expand(Z.unflatten(2, (H, W)))
