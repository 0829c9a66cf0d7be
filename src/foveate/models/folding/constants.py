"""The gates that can be folded, and the constants that take their place."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.sites.attach import attached
from foveate.models.sites.channel_scale import ChannelScale
from foveate.models.sites.gates import Gate, find_gates

__all__ = ["channel_constants", "find_foldable"]


def find_foldable(network: nn.Module, images: Tensor) -> tuple[list[Gate], dict[str, str]]:
    """Return the gates that can be folded, and by the path of all other attention why it cannot."""
    found = find_gates(network, images)
    excluded = dict(found.excluded)
    modules = attached(network)
    for gate in found.gates:
        if gate.factor is not None:
            excluded[gate.site] = (
                "its gates are factors within its equations, which mix channels beside them: with constants "
                "in their place there still is no layer that it could be folded into"
            )
        elif gate.site not in modules:
            excluded[gate.site] = "it is built into the network, and not attached by foveate"
        elif isinstance(modules[gate.site], ChannelScale):
            excluded[gate.site] = "it is a constant already, and no layer can take it"
    return [gate for gate in found.gates if gate.site not in excluded], excluded


def channel_constants(
    network: nn.Module, gates: Sequence[Gate], first: Tensor, others: Iterable[Tensor]
) -> dict[Gate, Tensor]:
    """Return the constants of each gate, (C,) in float64 on the CPU: Σ x y / Σ x² of each channel.

    With y = x ⊙ g that is the mean of g weighted by x². A channel whose map is 0 throughout has the mean of
    all channels.

    Raises:
        RequestError: a gate is not finite.
    """
    sums: dict[str, Tensor] = {gate.site: torch.zeros(()) for gate in gates}

    def add(site: str, module: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> None:
        x = args[0]
        products = torch.stack([(x * y).sum(dim=(0, 2, 3)), x.square().sum(dim=(0, 2, 3))])
        sums[site] = sums[site] + products.cpu().double()  # MPS has no float64

    with ExitStack() as undo, torch.inference_mode():
        for gate in gates:
            module = network.get_submodule(gate.site)
            undo.callback(module.register_forward_hook(partial(add, gate.site)).remove)
        for batch in _chained(first, others):
            network(batch)
    constants = {}
    for gate in gates:
        products, squares = sums[gate.site].clone()
        if not (products.isfinite().all() and squares.isfinite().all()):
            raise RequestError(f"the attention at {gate.site} gives values that are not finite")
        whole = products.sum() / squares.sum() if squares.sum() > 0 else torch.ones((), dtype=squares.dtype)
        is_there = squares > 0
        constants[gate] = torch.where(is_there, products / torch.where(is_there, squares, 1), whole)
    return constants


def _chained(first: Tensor, others: Iterable[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from others
