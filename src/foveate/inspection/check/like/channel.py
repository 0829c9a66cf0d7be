"""The equations of the channel gates, SE and ECA, with the ways in which copies of them differ."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import conv1d

from foveate.inspection.check.like.equation import ACTIVATIONS, GATES, Equation, choice, gate_texts, pooled
from foveate.inspection.check.like.weights import Role, Weights, norm_roles

__all__ = ["ECAEquation", "SEEquation"]

POOLS = {
    ("pool", "max"): "pooled only by maximum, not by mean",
    ("pool", "both"): "pooled by mean and maximum, which are added, not by mean alone",
}
RESIDUAL = {("residual", "added"): "the output is x plus the gated x"}


@dataclass(frozen=True)
class SEEquation(Equation):
    """x · σ(W₂ ReLU(W₁ GAP(x)))."""

    biases: str = choice("both", "none")
    norm: str = choice("none", "after the first layer")
    pool: str = choice("mean", "max", "both")
    activation: str = choice("relu", "gelu", "silu", "none")
    gate: str = choice("sigmoid", "none", "hard sigmoid", "tanh")
    residual: str = choice("none", "added")

    TEXTS: ClassVar = {
        ("biases", "none"): "no biases in the two layers",
        ("norm", "after the first layer"): "a batch norm after the first layer",
        ("activation", "none"): "no ReLU between the two layers",
        **POOLS,
        **RESIDUAL,
        **gate_texts("gate", "the gate", "none", "hard sigmoid", "tanh"),
    }
    SIZES: ClassVar = {"h": "reduction: the bottleneck has {found} channels in place of {own}"}

    def roles(self, channels: int) -> list[Role]:
        """Return two layers with their biases, and a norm."""
        bias = self.biases == "both"
        roles = [Role("reduce", ("h", channels)), *[Role("reduce.bias", ("h",))] * bias]
        roles += norm_roles("norm", "h") if self.norm != "none" else []
        return [*roles, Role("expand", (channels, "h")), *[Role("expand.bias", (channels,))] * bias]

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Weight the channels of x."""
        z = sum_of_pools(x, self.pool)
        hidden = ACTIVATIONS[self.activation](w.normalise("norm", w.layer("reduce", z)))
        y = x * GATES[self.gate](w.layer("expand", hidden))
        return x + y if self.residual == "added" else y


@dataclass(frozen=True)
class ECAEquation(Equation):
    """x · σ(Conv1D_k(GAP(x)))."""

    bias: str = choice("none", "present")
    pool: str = choice("mean", "max", "both")
    gate: str = choice("sigmoid", "none", "hard sigmoid", "tanh")
    residual: str = choice("none", "added")

    TEXTS: ClassVar = {
        ("bias", "present"): "the convolution has a bias",
        **POOLS,
        **RESIDUAL,
        **gate_texts("gate", "the gate", "none", "hard sigmoid", "tanh"),
    }
    SIZES: ClassVar = {"k": "kernel: {found} weights over the channels in place of {own}"}

    def roles(self, channels: int) -> list[Role]:
        """Return one kernel over the channels, with its bias."""
        return [Role("conv", ("k",)), *[Role("conv.bias", ())] * (self.bias == "present")]

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Weight the channels of x."""
        z = sum_of_pools(x, self.pool).flatten(1).unsqueeze(1)
        kernel = w.tensors["conv"].reshape(1, 1, -1)
        gate = conv1d(z, kernel, w.get("conv.bias"), padding=kernel.shape[2] // 2)
        y = x * GATES[self.gate](gate).transpose(1, 2).unsqueeze(3)
        return x + y if self.residual == "added" else y


def sum_of_pools(x: Tensor, pool: str) -> Tensor:
    """Return the mean or the maximum over the positions, or the sum of both."""
    return pooled(x, "mean") + pooled(x, "max") if pool == "both" else pooled(x, pool)
