"""The equation of coordinate attention, with the ways in which copies of it differ."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from foveate.inspection.check.like.equation import ACTIVATIONS, GATES, Equation, choice, gate_texts
from foveate.inspection.check.like.weights import Role, Weights, norm_roles

__all__ = ["CoordinateEquation"]


@dataclass(frozen=True)
class CoordinateEquation(Equation):
    """x · σ(F_h(f_h)) · σ(F_w(f_w)), f = h-swish(BN(F₁([z_h ; z_w]))) of the means over width and height."""

    embedding: str = choice("shared", "two")
    embed_bias: str = choice("none", "present")
    gate_biases: str = choice("both", "none")
    norm: str = choice("present", "none")
    activation: str = choice("hardswish", "relu", "silu", "gelu", "none")
    pool: str = choice("mean", "max", "both")
    gate: str = choice("sigmoid", "none", "hard sigmoid", "tanh")
    gates: str = choice("multiplied", "added")
    residual: str = choice("none", "added")

    TEXTS: ClassVar = {
        ("embedding", "two"): "no shared embedding: rows and columns have a layer each",
        (
            "embed_bias",
            "present",
        ): "the shared layer has a bias, which the norm behind it cancels in training",
        ("gate_biases", "none"): "no biases in the layers of the gates",
        ("norm", "none"): "no batch norm after the shared layer",
        ("activation", "relu"): "a ReLU in place of the h-swish",
        ("activation", "silu"): "a SiLU in place of the h-swish",
        ("activation", "gelu"): "a GELU in place of the h-swish",
        ("activation", "none"): "no activation after the shared layer",
        ("pool", "max"): "rows and columns are pooled only by maximum, not by mean",
        ("pool", "both"): "rows and columns are pooled by mean and maximum, which are added",
        ("gates", "added"): "the gates of rows and columns are added in place of multiplied",
        ("residual", "added"): "the output is x plus the gated x",
        **gate_texts("gate", "each gate", "none", "hard sigmoid", "tanh"),
    }
    SIZES: ClassVar = {"h": "reduction: the bottleneck has {found} channels in place of {own}"}

    def roles(self, channels: int) -> list[Role] | None:
        """Return the embedding, one layer or two with their norms, and the layers of both gates."""
        roles = []
        for name in ("embed", "second")[: 2 if self.embedding == "two" else 1]:
            roles += [Role(name, ("h", channels))]
            roles += [Role(f"{name}.bias", ("h",))] * (self.embed_bias == "present")
            roles += norm_roles(f"{name}.norm", "h") if self.norm == "present" else []
        for name in ("rows", "columns"):
            roles += [Role(name, (channels, "h"))]
            roles += [Role(f"{name}.bias", (channels,))] * (self.gate_biases == "both")
        return roles

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Weight the rows and the columns of each channel of x."""
        z_h, z_w = self._pool(x, 3), self._pool(x, 2).transpose(2, 3)
        if self.embedding == "two":
            f_h, f_w = self._embed("embed", z_h, w), self._embed("second", z_w, w)
        else:
            sizes = [z_h.shape[2], z_w.shape[2]]
            f_h, f_w = self._embed("embed", torch.cat([z_h, z_w], dim=2), w).split(sizes, dim=2)
        g_h = GATES[self.gate](w.layer("rows", f_h))
        g_w = GATES[self.gate](w.layer("columns", f_w)).transpose(2, 3)
        y = x * (g_h + g_w) if self.gates == "added" else x * g_h * g_w
        return x + y if self.residual == "added" else y

    def _embed(self, name: str, z: Tensor, w: Weights) -> Tensor:
        return ACTIVATIONS[self.activation](w.normalise(f"{name}.norm", w.layer(name, z)))

    def _pool(self, x: Tensor, dim: int) -> Tensor:
        mean, maximum = x.mean(dim=dim, keepdim=True), x.amax(dim=dim, keepdim=True)
        return {"mean": mean, "max": maximum, "both": mean + maximum}[self.pool]
