"""The equation of CBAM, with the ways in which copies of it differ."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from foveate.inspection.check.like.equation import GATES, Equation, choice, gate_texts, pooled
from foveate.inspection.check.like.weights import Role, Weights, norm_roles

__all__ = ["CBAMEquation"]


@dataclass(frozen=True)
class CBAMEquation(Equation):
    """x' = x · σ(MLP(GAP(x)) + MLP(GMP(x))), then x' · σ(f([mean of x' ; max of x']))."""

    mlp: str = choice("shared", "two")
    channel_biases: str = choice("both", "none")
    channel_pool: str = choice("both", "mean", "max")
    channel_gate: str = choice("sigmoid", "none", "hard sigmoid", "one for each pool")
    spatial_stack: str = choice("mean, max", "max, mean", "mean", "max")
    spatial_bias: str = choice("none", "present")
    spatial_norm: str = choice("none", "present")
    spatial_gate: str = choice("sigmoid", "none", "hard sigmoid")
    order: str = choice("channel, spatial", "spatial, channel", "parallel")
    residual: str = choice("none", "added")

    TEXTS: ClassVar = {
        ("mlp", "two"): "no shared MLP: mean and maximum have an MLP each",
        ("channel_biases", "none"): "no biases in the MLP",
        ("channel_pool", "mean"): "the channel gate is pooled only by mean, not by mean and maximum",
        ("channel_pool", "max"): "the channel gate is pooled only by maximum, not by mean and maximum",
        (
            "channel_gate",
            "one for each pool",
        ): "each pool has a sigmoid of its own, and the two gates are added",
        (
            "spatial_stack",
            "max, mean",
        ): "other order of concatenation in the spatial gate: maximum, then mean",
        ("spatial_stack", "mean"): "the spatial gate is pooled only by mean, not by mean and maximum",
        ("spatial_stack", "max"): "the spatial gate is pooled only by maximum, not by mean and maximum",
        ("spatial_bias", "present"): "the spatial convolution has a bias",
        ("spatial_norm", "present"): "a batch norm after the spatial convolution",
        ("order", "spatial, channel"): "other order of the gates: spatial first, then channel",
        (
            "order",
            "parallel",
        ): "other order of the gates: both weight x itself, neither sees the other's output",
        ("residual", "added"): "the output is x plus the gated x",
        **gate_texts("channel_gate", "the channel gate", "none", "hard sigmoid"),
        **gate_texts("spatial_gate", "the spatial gate", "none", "hard sigmoid"),
    }
    SIZES: ClassVar = {
        "h": "reduction: the bottleneck has {found} channels in place of {own}",
        "k": "kernel: the spatial convolution is {found}×{found} in place of {own}×{own}",
    }

    def roles(self, channels: int) -> list[Role] | None:
        """Return one MLP or two, the spatial kernel with its bias, and the norm."""
        if self.channel_pool != "both" and (self.mlp == "two" or self.channel_gate == "one for each pool"):
            return None
        bias = self.channel_biases == "both"
        roles = []
        for name in ("mlp", "second")[: 2 if self.mlp == "two" else 1]:
            roles += [Role(f"{name}0", ("h", channels)), *[Role(f"{name}0.bias", ("h",))] * bias]
            roles += [Role(f"{name}1", (channels, "h")), *[Role(f"{name}1.bias", (channels,))] * bias]
        kernel = (2, "k", "k") if ", " in self.spatial_stack else ("k", "k")
        roles += [Role("conv", kernel), *[Role("conv.bias", ())] * (self.spatial_bias == "present")]
        return roles + (norm_roles("norm") if self.spatial_norm == "present" else [])

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Weight the channels, then the positions of x."""
        if self.order == "parallel":
            y = x * self._channel(x, w) * self._spatial(x, w)
        else:
            gates = (self._channel, self._spatial)
            y = x
            for gate in gates if self.order == "channel, spatial" else reversed(gates):
                y = y * gate(y, w)
        return x + y if self.residual == "added" else y

    def _channel(self, x: Tensor, w: Weights) -> Tensor:
        pools = ("mean", "max") if self.channel_pool == "both" else (self.channel_pool,)
        names = ("mlp", "second") if self.mlp == "two" else ("mlp", "mlp")
        branches = [
            w.layer(f"{name}1", torch.relu(w.layer(f"{name}0", pooled(x, pool))))
            for pool, name in zip(pools, names, strict=False)
        ]
        if self.channel_gate == "one for each pool":
            return sum(map(torch.sigmoid, branches[1:]), torch.sigmoid(branches[0]))
        return GATES[self.channel_gate](sum(branches[1:], branches[0]))

    def _spatial(self, x: Tensor, w: Weights) -> Tensor:
        maps = {"mean": x.mean(dim=1, keepdim=True), "max": x.amax(dim=1, keepdim=True)}
        stack = torch.cat([maps[name] for name in self.spatial_stack.split(", ")], dim=1)
        kernel = w.tensors["conv"].reshape(1, stack.shape[1], *w.tensors["conv"].shape[-2:])
        gate = conv2d(stack, kernel, w.get("conv.bias"), padding=kernel.shape[-1] // 2)
        return GATES[self.spatial_gate](w.normalise("norm", gate))
