"""The equation of double attention (A²-Nets), with the ways in which copies of it differ."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from foveate.inspection.check.like.equation import Equation, choice
from foveate.inspection.check.like.weights import Role, Weights

__all__ = ["DoubleEquation"]

AXES = {"positions": 2, "features": 1, "batch": 0}


@dataclass(frozen=True)
class DoubleEquation(Equation):
    """x + W · (A Bᵀ) V, A = φ(x), B = softmax over positions of θ(x), V = softmax over features of ρ(x)."""

    theta_bias: str = choice("none", "present")
    biases: str = choice("present", "none")
    gather: str = choice("positions", "features", "batch", "none")
    distribute: str = choice("features", "positions", "batch", "none")
    expand: str = choice("present", "none")
    residual: str = choice("added", "none")

    TEXTS: ClassVar = {
        ("theta_bias", "present"): "θ has a bias (a softmax over the positions cancels it)",
        ("biases", "none"): "no biases in φ, ρ and W",
        ("gather", "features"): "the softmax of θ(x) runs over the features, not over the positions",
        ("gather", "batch"): "the softmax of θ(x) runs over the batch, not over the positions",
        ("gather", "none"): "no softmax of θ(x)",
        ("distribute", "positions"): "the softmax of ρ(x) runs over the positions, not over the features",
        ("distribute", "batch"): "the softmax of ρ(x) runs over the batch, not over the features",
        ("distribute", "none"): "no softmax of ρ(x)",
        ("expand", "none"): "no last layer W",
        ("residual", "none"): "x is not added to the output",
    }
    SIZES: ClassVar = {
        "m": "reduction: φ has {found} features in place of {own}",
        "n": "reduction: θ and ρ have {found} features in place of {own}",
    }

    def roles(self, channels: int) -> list[Role]:
        """Return the layers φ, θ, ρ and W with their biases."""
        bias = self.biases == "present"
        width: int | str = "m" if self.expand == "present" else channels
        roles = [Role("phi", (width, channels)), *[Role("phi.bias", (width,))] * bias]
        roles += [
            Role("theta", ("n", channels)),
            *[Role("theta.bias", ("n",))] * (self.theta_bias == "present"),
        ]
        roles += [Role("rho", ("n", channels)), *[Role("rho.bias", ("n",))] * bias]
        if self.expand == "present":
            roles += [Role("expand", (channels, "m")), *[Role("expand.bias", (channels,))] * bias]
        return roles

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Add to each position of x the features of the whole map that it attends to."""
        A, B, V = (w.layer(name, x).flatten(2) for name in ("phi", "theta", "rho"))
        B = B if self.gather == "none" else B.softmax(dim=AXES[self.gather])
        V = V if self.distribute == "none" else V.softmax(dim=AXES[self.distribute])
        z = (A @ B.transpose(1, 2) @ V).unflatten(2, x.shape[2:])
        y = w.layer("expand", z) if self.expand == "present" else z
        return x + y if self.residual == "added" else y
