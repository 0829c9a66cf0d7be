"""The equation of SimAM, with the ways in which copies of it, the paper's listing among them, differ."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from foveate.inspection.check.like.equation import GATES, Equation, choice, gate_texts
from foveate.inspection.check.like.weights import Role, Weights

__all__ = ["SimAMEquation"]


@dataclass(frozen=True)
class SimAMEquation(Equation):
    """x · σ((x - μ)² / (4 (σ² + λ)) + ½), σ² over the M positions of a channel."""

    variance: str = choice("M", "M - 1")
    half: str = choice("added", "none")
    gate: str = choice("sigmoid", "none", "hard sigmoid", "tanh")
    e_lambda: float = choice(1e-4, 1e-1, 1e-2, 1e-3, 1e-5, 1e-6, 1e-8)

    TEXTS: ClassVar = {
        ("variance", "M - 1"): "the variance is divided by M - 1 in place of M, so that a 1×1 map gives NaN",
        ("half", "none"): "the ½ is not added before the sigmoid",
        **gate_texts("gate", "the gate", "none", "hard sigmoid", "tanh"),
    }

    def of(self, builtin: nn.Module) -> "SimAMEquation":
        """Take over λ."""
        given: Any = builtin
        return replace(self, e_lambda=given.e_lambda)

    def roles(self, channels: int) -> list[Role]:
        """Return none: it has no parameters."""
        return []

    def __call__(self, x: Tensor, w: Weights) -> Tensor:
        """Weight each element of x by its squared distance from the mean of its channel."""
        M = x.shape[2] * x.shape[3]
        distance = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        variance = distance.sum(dim=(2, 3), keepdim=True) / (M - 1 if self.variance == "M - 1" else M)
        inverse = distance / (4 * (variance + self.e_lambda))
        return x * GATES[self.gate](inverse + 0.5 if self.half == "added" else inverse)
