"""Choose the sites that are folded: the one that matters least first, while the score stays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from foveate.models.sites.gates import Gate, constant_gates

__all__ = ["Choice", "OnStep", "Score", "choose_gates"]

Score = Callable[[nn.Module], float]
"""Returns how good a network is; higher is better."""
OnStep = Callable[[str, int, int], None]
"""Is called with what is measured, how many sites are done, and how many there are."""
ROUNDING = 1e-9
"""By which a loss may exceed the largest one: scores are quotients of counts."""


@dataclass(frozen=True)
class Choice:
    """A site that was decided on: the constants (C,), what they lose, and whether they are folded."""

    constant: Tensor
    loss_alone: float | None
    loss_together: float | None
    is_folded: bool


def choose_gates(
    network: nn.Module,
    constants: Mapping[Gate, Tensor],
    score: Score | None,
    max_loss: float,
    on_step: OnStep,
) -> tuple[float | None, dict[str, Choice]]:
    """Return the score of `network`, and by the path of attention what was chosen, in the order of that."""
    if score is None:
        return None, {gate.site: Choice(one, None, None, True) for gate, one in constants.items()}
    if not constants:
        return None, {}
    rounding = ROUNDING * max(1.0, max_loss)

    def scored(gates: Sequence[Gate]) -> float:
        like = next(network.parameters())
        held = {gate: constants[gate].to(like.device, like.dtype)[:, None, None] for gate in gates}
        with constant_gates(network, held):
            return score(network)

    whole = score(network)
    alone: dict[Gate, float] = {}
    for done, gate in enumerate(constants):
        on_step("each site alone", done, len(constants))
        alone[gate] = whole - scored([gate])
    folded: list[Gate] = []
    chosen: dict[str, Choice] = {}
    for done, gate in enumerate(sorted(constants, key=lambda gate: alone[gate])):  # stable: in their order
        together = None
        if alone[gate] <= max_loss + rounding:
            on_step("sites together", done, len(constants))
            together = whole - scored([*folded, gate]) if folded else alone[gate]
        is_folded = together is not None and together <= max_loss + rounding
        folded += [gate] * is_folded
        chosen[gate.site] = Choice(constants[gate], alone[gate], together, is_folded)
    return whole, chosen
