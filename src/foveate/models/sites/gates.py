"""The gates of attention in a network: found, recorded, held constant, or taken from another image.

The gate of a module that computes y from a map x is g = y / x, element by element, so that y = x ⊙ g. Such a
gate exists where y is 0 wherever x is 0: a smooth function with that property is x times a continuous
function (Hadamard's lemma). That is tested on maps of the network (see `find_gates`), for any class.
Where x is 0 the quotient is the limit: x is moved there by its rounding error. The quotient is exact up to
the rounding of y, by whichever kernel path the module runs.

A module that adds mixed channels to its input has no such quotient. Where its equations have factors that
multiply a map, each of these is a gate (`FACTORS`); where they have none, the module has no gate.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from foveate.attention.intermediates import replacing
from foveate.attention.sgfa import SCPA, SGFA, SGU
from foveate.errors import RequestError
from foveate.kernels import only_reference
from foveate.models.sites.capture import attention_modules
from foveate.models.sites.gate import ungated
from foveate.models.sites.wrappers import unwrap

__all__ = [
    "FACTORS",
    "ConstantGate",
    "FoundGates",
    "Gate",
    "changed_gates",
    "constant_gates",
    "find_gates",
    "recorded_gates",
    "swapped_gates",
]

FACTORS: Mapping[type[nn.Module], tuple[str, ...]] = MappingProxyType(
    {SCPA: ("M_s", "M_c"), SGU: ("gate",), SGFA: ("M_s", "M_c", "gate")}
)
"""The gates of mechanisms whose output is no product of the input and a gate, by their names in `forward`."""
TOLERANCE = 1e-5
"""An output counts as 0 below this share of the largest output: sums of many terms have rounding errors."""

Change = Callable[[Tensor], Tensor]
"""Takes a gate, of a shape that multiplies maps (B, C, H, W), and returns what is used in its place."""


@dataclass(frozen=True)
class Gate:
    """A gate: that of the whole attention at the path `site`, or one `factor` in its equations."""

    site: str
    factor: str | None = None


@dataclass(frozen=True)
class FoundGates:
    """The gates of a network in the order of its sites, and by site why attention has none."""

    gates: tuple[Gate, ...]
    excluded: Mapping[str, str]


class ConstantGate(nn.Module):
    """x ⊙ constant, (B, C, H, W) -> (B, C, H, W): attention whose gate no longer depends on the image.

    `constant` is (C, 1, 1), (1, H, W), (C, H, W) or any other shape that multiplies the maps.
    """

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.constant: Tensor
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by the constant."""
        return x * self.constant


def find_gates(model: nn.Module, images: Tensor) -> FoundGates:
    """Find the gates of all attention in `model`, attached or built in, by running it on `images`.

    The modules must be in eval mode. A module is tested on its maps of `images` with half of the elements set
    to 0, chosen at random: an output that is not 0 there is no product of the input and a gate.

    Args:
        images: a few images as the network takes them, (B, ...).

    Raises:
        RequestError: a model without attention, or that is the attention itself.
    """
    modules = attention_modules(model)
    if not modules:
        raise RequestError(
            f"{type(model).__name__} has no attention, and so no gate: put some in with "
            'foveate.attach(model, "se")'
        )
    if "" in modules:
        raise RequestError(f"{type(model).__name__} is the attention itself: give the network that it is in")
    maps = _maps_at(model, modules, images)
    gates: list[Gate] = []
    excluded: dict[str, str] = {}
    for site, module in modules.items():
        seen, factors = maps[site], FACTORS.get(type(ungated(module)), ())
        if len(seen) != 1:
            excluded[site] = f"it runs {len(seen)} times in a forward pass, expected once"
        elif factors:
            gates += [Gate(site, factor) for factor in factors]
        elif fault := _find_fault(module, seen[0]):
            excluded[site] = fault
        else:
            gates.append(Gate(site))
    return FoundGates(tuple(gates), excluded)


@contextmanager
def changed_gates(model: nn.Module, changes: Mapping[Gate, Change]) -> Iterator[None]:
    """Use `changes[gate](values)` in place of the values of each gate while `model` runs within the block.

    Attention with such a gate is computed as x ⊙ g, or with the factor in its equations, which then run
    instead of other kernel paths. The model must not be compiled.
    """
    by_site: dict[str, dict[str | None, Change]] = {}
    for gate, change in changes.items():
        by_site.setdefault(gate.site, {})[gate.factor] = change
    with _replaced_modules(model, {site: partial(_Changed, some) for site, some in by_site.items()}):
        yield


@contextmanager
def recorded_gates(model: nn.Module, gates: Sequence[Gate]) -> Iterator[dict[Gate, Tensor]]:
    """Record the values of `gates` while `model` runs within the block; those of the last run are kept.

    The gate of a module is (B, C, H, W); a factor has the shape that it has in the equations.
    """
    values: dict[Gate, Tensor] = {}

    def record(gate: Gate, value: Tensor) -> Tensor:
        values[gate] = value.detach()
        return value

    with changed_gates(model, {gate: partial(record, gate) for gate in gates}):
        yield values


@contextmanager
def constant_gates(model: nn.Module, constants: Mapping[Gate, Tensor]) -> Iterator[None]:
    """Use a constant in place of each gate while `model` runs within the block.

    A constant is (C, 1, 1), (1, H, W), (C, H, W) or any other shape that multiplies the maps of its site, on
    their device. Attention that is one gate is not computed (see `ConstantGate`).
    """
    whole = {gate.site: constant for gate, constant in constants.items() if gate.factor is None}
    factors = {gate: constant for gate, constant in constants.items() if gate.factor is not None}
    with (
        _replaced_modules(model, {site: partial(_constant, one) for site, one in whole.items()}),
        changed_gates(model, {gate: partial(_instead, one) for gate, one in factors.items()}),
    ):
        yield


@contextmanager
def swapped_gates(model: nn.Module, gates: Sequence[Gate]) -> Iterator[None]:
    """Give each image the gates of the next image in its batch, and the last one those of the first.

    A batch needs two images or more: a single one would have its own gate.
    """
    with changed_gates(model, dict.fromkeys(gates, _of_next)):
        yield


class _Changed(nn.Module):
    """The attention of a site, some of whose gates are replaced by what `changes` return for them.

    `changes` are by factor; the one of None is that of the whole attention.
    """

    def __init__(self, changes: Mapping[str | None, Change], attention: nn.Module) -> None:
        super().__init__()
        self.changes, self.attention = changes, attention

    def forward(self, x: Tensor) -> Tensor:
        """Run the attention on x (B, C, H, W)."""
        if None in self.changes:
            return x * self.changes[None](_quotient(self.attention, x))
        with only_reference(), replacing(self._replace):
            output: Tensor = self.attention(x)
        return output

    def _replace(self, name: str, value: Tensor) -> Tensor:
        return self.changes[name](value) if name in self.changes else value


def _quotient(module: nn.Module, x: Tensor) -> Tensor:
    """Return module(x) / x, (B, C, H, W); elements that are 0 are first moved by the rounding error of x."""
    largest = x.abs().amax(dim=(1, 2, 3), keepdim=True)
    step = torch.finfo(x.dtype).eps * torch.where(largest > 0, largest, torch.ones_like(largest))
    moved = torch.where(x == 0, step, x)
    quotient: Tensor = module(moved) / moved
    return quotient


def _instead(constant: Tensor, value: Tensor) -> Tensor:
    return constant.to(value.dtype)


def _constant(constant: Tensor, attention: nn.Module) -> ConstantGate:
    return ConstantGate(constant)


def _of_next(value: Tensor) -> Tensor:
    return value.roll(-1, dims=0)


@contextmanager
def _replaced_modules(
    model: nn.Module, makers: Mapping[str, Callable[[nn.Module], nn.Module]]
) -> Iterator[None]:
    """Let what `makers` return for the module at their paths stand in its place within the block."""
    network = unwrap(model)
    with ExitStack() as undo:
        for path, make in makers.items():
            owner, _, name = path.rpartition(".")
            around, module = network.get_submodule(owner), network.get_submodule(path)
            made = make(module).train(module.training)
            if hasattr(module, "placement"):  # by it the module around knows its attention
                made.placement = module.placement
            undo.callback(around.add_module, name, module)
            around.add_module(name, made)
        yield


def _maps_at(model: nn.Module, modules: Mapping[str, nn.Module], images: Tensor) -> dict[str, list[Tensor]]:
    """Run `model` on `images` and return the inputs of `modules`, in the order in which they ran."""
    maps: dict[str, list[Tensor]] = {site: [] for site in modules}

    def record(site: str, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        maps[site].append(args[0].detach().clone())

    with ExitStack() as undo:
        for site, module in modules.items():
            undo.callback(module.register_forward_pre_hook(partial(record, site)).remove)
        with torch.inference_mode():
            model(images)
    return maps


def _find_fault(module: nn.Module, x: Tensor) -> str | None:
    """Say why module(x) is no product of x and a gate; None where it is one as far as x tells."""
    generator = torch.Generator().manual_seed(0)
    if not x.any():  # as after the last norms of an untrained network: such a map tells nothing
        x = torch.randn(x.shape, generator=generator).to(x)
    zero = (torch.rand(x.shape, generator=generator) < 0.5).to(x.device)
    with torch.inference_mode():
        y = module(x.masked_fill(zero, 0))
    if not isinstance(y, Tensor) or y.shape != x.shape:
        return "it does not return one map of the shape of its input"
    if not y.isfinite().all():
        return "its output is not finite"
    if y[zero].abs().max() > TOLERANCE * y.abs().max():
        return "its output is not 0 where its input is 0, so it is no product of the input and a gate"
    return None
