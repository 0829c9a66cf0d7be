"""The equation of BAM, with the ways in which copies of it, the authors' code among them, differ."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from foveate.inspection.check.like.equation import GATES, Equation, choice, gate_texts, pooled
from foveate.inspection.check.like.weights import Role, Weights, norm_roles

__all__ = ["BAMEquation"]


@dataclass(frozen=True)
class BAMEquation(Equation):
    """x + x · σ(M_c + M_s), M_c = BN(W₁ ReLU(W₀ GAP(x))), M_s = BN(f₃(f₂(f₁(f₀(x))))) with ReLUs between."""

    norms: str = choice("at the end", "between the layers", "none")
    biases: str = choice("all but the last", "all", "none")
    branches: str = choice("added", "multiplied")
    pool: str = choice("mean", "max")
    gate: str = choice("sigmoid", "none", "hard sigmoid", "one for each branch")
    residual: str = choice("added", "none")
    dilation: int = choice(4, 1, 2, 3)
    hidden_layers: int = choice(1, 2, 3)
    dilated_layers: int = choice(2, 1, 3, 4)

    TEXTS: ClassVar = {
        (
            "norms",
            "between the layers",
        ): "batch norms between the layers of the branches in place of one at their ends",
        ("norms", "none"): "no batch norms in the branches",
        ("biases", "all"): "the last layer of each branch has a bias, too",
        ("biases", "none"): "no biases in the branches",
        ("branches", "multiplied"): "the two branches are multiplied in place of added",
        ("pool", "max"): "the channel branch is pooled only by maximum, not by mean",
        ("gate", "one for each branch"): "each branch has a sigmoid of its own",
        ("residual", "none"): "the output is the gated x alone, without x added to it",
        **gate_texts("gate", "the gate", "none", "hard sigmoid"),
    }
    SIZES: ClassVar = {"h": "reduction: the bottleneck has {found} channels in place of {own}"}

    def of(self, builtin: nn.Module) -> "BAMEquation":
        """Take over the dilation."""
        convs = [part for part in builtin.modules() if isinstance(part, nn.Conv2d)]
        return replace(self, dilation=max(int(conv.dilation[0]) for conv in convs))

    def roles(self, channels: int) -> list[Role]:
        """Return the two layers of the channel branch and the four of the spatial one, with their norms."""
        layers: list[tuple[str, tuple[int | str, ...], tuple[int | str, ...]]] = [
            ("mlp0", ("h", channels), ("h",)),
            *[(name, ("h", "h"), ("h",)) for name in self._hidden()],
            ("last mlp", (channels, "h"), (channels,)),
            ("conv0", ("h", channels), ("h",)),
            *[(name, ("h", "h", 3, 3), ("h",)) for name in self._dilated()],
            ("last conv", ("h",), ()),
        ]
        roles = []
        for name, weight, bias in layers:
            is_last = name.startswith("last")
            has_bias = self.biases == "all" or (self.biases == "all but the last" and not is_last)
            roles += [Role(name, weight), *[Role(f"{name}.bias", bias)] * has_bias]
            if self.norms == ("at the end" if is_last else "between the layers"):
                roles += norm_roles(f"{name}.norm", *bias)
        return roles

    def _hidden(self) -> list[str]:
        return [f"mlp{index}" for index in range(1, self.hidden_layers)]

    def _dilated(self) -> list[str]:
        return [f"conv{index}" for index in range(1, self.dilated_layers + 1)]

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Add to x the product of x and the gate of both branches."""
        channel = pooled(x, self.pool)
        for name in ("mlp0", *self._hidden()):
            channel = torch.relu(w.normalise(f"{name}.norm", w.layer(name, channel)))
        channel = w.normalise("last mlp.norm", w.layer("last mlp", channel))
        spatial = torch.relu(w.normalise("conv0.norm", w.layer("conv0", x)))
        for name in self._dilated():
            kernel, d = w.tensors[name], self.dilation
            spatial = conv2d(spatial, kernel, w.get(f"{name}.bias"), padding=d, dilation=d)
            spatial = torch.relu(w.normalise(f"{name}.norm", spatial))
        spatial = w.normalise("last conv.norm", w.layer("last conv", spatial))
        if self.gate == "one for each branch":
            channel, spatial = torch.sigmoid(channel), torch.sigmoid(spatial)
        joined = channel * spatial if self.branches == "multiplied" else channel + spatial
        y = x * (joined if self.gate == "one for each branch" else GATES[self.gate](joined))
        return x + y if self.residual == "added" else y
