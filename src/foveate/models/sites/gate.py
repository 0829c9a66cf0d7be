"""The gate by which a network with attention starts as the network without."""

import torch
from torch import Tensor, nn

__all__ = ["IdentityGate", "ungated"]


class IdentityGate(nn.Module):
    """x + gate · (mechanism(x) - x), (B, C, H, W) -> (B, C, H, W), with a learnable `gate` that starts at 0.

    The gate learns from the first step, the mechanism from the second, when the gate is no longer 0. Where
    the maps themselves are 0, as after the norms that timm's `zero_init_last` sets to 0 in an untrained
    network, neither learns until they are not. Where the output of the mechanism is not finite, as in float16
    far beyond activations of 1e4, that of the gate is not either.
    """

    def __init__(self, mechanism: nn.Module) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Blend x (B, C, H, W) with the output of the mechanism."""
        return x + self.gate * (self.mechanism(x) - x)


def ungated(attention: nn.Module) -> nn.Module:
    """Return the mechanism itself, without its gate if it has one."""
    return attention.mechanism if isinstance(attention, IdentityGate) else attention
