"""Replace attention whose gate is a constant by that constant, and fold it into the layers beside it."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.folding.absorbing import Layer, find_layers, replace_attention, scale_layers
from foveate.models.sites.attach import attached
from foveate.models.sites.capture import attention_names
from foveate.models.sites.channel_scale import ChannelScale
from foveate.models.sites.gates import Gate, constant_gates, find_gates
from foveate.models.sites.insertion import CHILD
from foveate.models.sites.wrappers import refuse_wrapped, unwrap

__all__ = ["Folded", "FoldedSite", "Score", "fold"]

Score = Callable[[nn.Module], float]
"""Returns how good a network is; higher is better."""
OnStep = Callable[[str, int, int], None]
"""Is called with what is measured, how many sites are done, and how many there are."""
TRIED, TRIED_ON = 4, 2
"""The number of images on which it is tested whether a module has a gate, and whether a layer takes it."""
ROUNDING = 1e-9
"""By which a loss may exceed the largest one: scores are quotients of counts."""

Became = Literal["folded", "scale", "kept", "excluded"]


@dataclass(frozen=True)
class FoldedSite:
    """What became of the attention at one site.

    Attributes:
        site: its name, as `foveate.sites` has it.
        path: of the module that the attention was attached to.
        became: "folded" into `layers`; "scale", a `ChannelScale`, as no layer takes the constants; "kept",
            because the loss would be too large; "excluded", because it cannot be folded at any loss.
        layers: the layers whose weights took the constants.
        loss_alone: what the score loses with the constants at this site alone; None where it was not scored.
        loss_together: the same with those at the sites that were folded before it, too.
        reason: why it was excluded, a clause.
        constants: of each channel, (C,) in float64; None where it was excluded.
    """

    site: str
    path: str
    became: Became
    layers: tuple[Layer, ...] = ()
    loss_alone: float | None = None
    loss_together: float | None = None
    reason: str | None = None
    constants: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def gate(self) -> Gate:
        """The gate of the attention that was here, in the network as it was."""
        return Gate(f"{self.path}.{CHILD}" if self.path else CHILD)

    @property
    def is_constant(self) -> bool:
        """Whether the constants took the place of the attention."""
        return self.became in ("folded", "scale")


@dataclass(frozen=True)
class Folded:
    """A folded network, and what became of each site, in the order of the sites.

    Attributes:
        network: a copy of the network that was given, in eval mode.
        sites: all sites that had attention.
        score: of the network as it was; None where it was not scored.
        order: the paths of the sites that were folded, in the order in which that was decided.
    """

    network: nn.Module
    sites: tuple[FoldedSite, ...]
    score: float | None
    order: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether no attention is left, and no scale in its place."""
        return all(one.became == "folded" for one in self.sites)


def fold(
    model: nn.Module,
    images: Iterable[Tensor],
    score: Score | None = None,
    *,
    max_loss: float = 0.0,
    on_step: OnStep = lambda what, done, total: None,
) -> Folded:
    """Return a copy of `model` in which attention that is a constant is folded into the layers beside it.

    The gate of each module, its output divided by its input, is replaced by a constant for each channel: its
    mean over images and positions, weighted by the squares of the map that it multiplies. Of all constants
    these change the maps least; a gate that does not vary is its own mean. The sites are taken from the one
    whose replacement alone loses least; each is folded if the score with all folded sites loses at most
    `max_loss`. The constants then go into the weights of a layer beside the site, which is exact: the norm,
    convolution or linear layer before it, or those that read the map. Where none can take them, a scale for
    each channel stays, a `ChannelScale`. The copy has one attention less at each folded site; without any it
    is the network that attention was attached to, with the same keys.

        folded = foveate.fold(model, train_batches, accuracy_on_validation_images, max_loss=0.001)
        foveate.save(folded.network, "folded.safetensors")

    Attention that is no product of its input and a gate (a2, scpa, sgu, sgfa), that foveate did not attach,
    or that runs more than once in a forward pass, is kept.

    Args:
        model: a network with attached attention; it is not changed.
        images: batches (B, C, H, W) as the network takes them, for the constants. Training images serve.
        score: how good a network is; higher is better. It is called with the network in eval mode. None folds
            all sites, whatever it loses.
        max_loss: what the score may lose by all folded sites together, in the unit of the score.
        on_step: is called before each score.

    Raises:
        RequestError: the network has no attention, is compiled, parallel or in other ways wrapped, there are
            no images, a gate is not finite, or `max_loss` is negative.
    """
    if not max_loss >= 0:
        raise RequestError(f"max_loss must be a number from 0, got {max_loss}")
    model = unwrap(model)
    refuse_wrapped(model)
    batches = iter(images)
    first = next(batches, None)
    if first is None or not len(first):
        raise RequestError("there are no images to take the mean of a gate over: give a batch at least")
    network = copy.deepcopy(model).eval()
    gates, excluded = _foldable(network, first[:TRIED])
    constants = _channel_constants(network, gates, first, batches) if gates else {}
    whole, chosen = _choose(network, constants, score, max_loss, on_step)
    taken = {_at(path): one.constant for path, one in chosen.items() if one.is_folded}
    kept = [_at(path) for path in attached(network) if _at(path) not in taken]
    names = attention_names(network)
    layers = find_layers(network, first[:TRIED_ON], taken, kept) if taken else {}
    scales: dict[str, nn.Module] = {}
    for path, factors in taken.items():
        if layers[path]:
            scale_layers(network, layers[path], factors)
        else:
            scales[path] = _scale(network, factors)
    replace_attention(network, scales, kept)
    sites = []
    for path, name in names.items():
        if path in excluded:
            sites.append(FoldedSite(name, _at(path), "excluded", reason=excluded[path]))
            continue
        one, at = chosen[path], _at(path)
        became: Became = "kept" if at not in taken else "folded" if layers[at] else "scale"
        sites.append(
            FoldedSite(
                name,
                at,
                became,
                layers.get(at, ()),
                one.loss_alone,
                one.loss_together,
                constants=one.constant,
            )
        )
    order = tuple(_at(path) for path, one in chosen.items() if one.is_folded)
    return Folded(network, tuple(sites), whole, order)


@dataclass(frozen=True)
class _Choice:
    """A site that was decided on: the constants (C,), what they lose, and whether they are folded."""

    constant: Tensor
    loss_alone: float | None
    loss_together: float | None
    is_folded: bool


def _foldable(network: nn.Module, images: Tensor) -> tuple[list[Gate], dict[str, str]]:
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


def _channel_constants(
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
            raise RequestError(f"the attention at {_at(gate.site)} gives values that are not finite")
        whole = products.sum() / squares.sum() if squares.sum() > 0 else torch.ones((), dtype=squares.dtype)
        is_there = squares > 0
        constants[gate] = torch.where(is_there, products / torch.where(is_there, squares, 1), whole)
    return constants


def _chained(first: Tensor, others: Iterable[Tensor]) -> Iterable[Tensor]:
    yield first
    yield from others


def _choose(
    network: nn.Module,
    constants: Mapping[Gate, Tensor],
    score: Score | None,
    max_loss: float,
    on_step: OnStep,
) -> tuple[float | None, dict[str, _Choice]]:
    """Return the score of `network`, and by the path of attention what was chosen, in the order of that."""
    if score is None:
        return None, {gate.site: _Choice(one, None, None, True) for gate, one in constants.items()}
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
    chosen: dict[str, _Choice] = {}
    for done, gate in enumerate(sorted(constants, key=lambda gate: alone[gate])):  # stable: in their order
        together = None
        if alone[gate] <= max_loss + rounding:
            on_step("sites together", done, len(constants))
            together = whole - scored([*folded, gate]) if folded else alone[gate]
        is_folded = together is not None and together <= max_loss + rounding
        folded += [gate] * is_folded
        chosen[gate.site] = _Choice(constants[gate], alone[gate], together, is_folded)
    return whole, chosen


def _scale(network: nn.Module, factors: Tensor) -> ChannelScale:
    like = next(network.parameters())
    scale = ChannelScale(len(factors)).to(like.device, like.dtype)
    with torch.no_grad():
        scale.weight.copy_(factors)
    return scale


def _at(path: str) -> str:
    """Return the path of the module that the attention at `path` is attached to."""
    return path.removesuffix(CHILD).removesuffix(".")
