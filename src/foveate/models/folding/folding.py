"""Replace attention whose gate is a constant by that constant, and fold it into the layers beside it."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.folding.absorbing import Layer, find_layers, scale_layers
from foveate.models.folding.choosing import OnStep, Score, choose_gates
from foveate.models.folding.constants import channel_constants, find_foldable
from foveate.models.folding.replacing import replace_attention
from foveate.models.sites.attach import attached
from foveate.models.sites.capture import attention_names
from foveate.models.sites.channel_scale import ChannelScale
from foveate.models.sites.gates import Gate
from foveate.models.sites.insertion import CHILD
from foveate.models.sites.wrappers import refuse_wrapped, unwrap

__all__ = ["Folded", "FoldedSite", "fold"]

TRIED, TRIED_ON = 4, 1
"""The number of images on which it is tested whether a module has a gate, and whether a layer takes it."""

Became = Literal["folded", "scale", "kept", "excluded"]


@dataclass(frozen=True)
class FoldedSite:
    """What became of the attention at one site.

    Attributes:
        site: its name, as `foveate.sites` has it.
        path: of the module that the attention was attached to, or of attention that was built in.
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
    gates, excluded = find_foldable(network, first[:TRIED])
    constants = channel_constants(network, gates, first, batches) if gates else {}
    whole, chosen = choose_gates(network, constants, score, max_loss, on_step)
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


def _scale(network: nn.Module, factors: Tensor) -> ChannelScale:
    like = next(network.parameters())
    scale = ChannelScale(len(factors)).to(like.device, like.dtype)
    with torch.no_grad():
        scale.weight.copy_(factors)
    return scale


def _at(path: str) -> str:
    """Return the path of the module that the attention at `path` is attached to, or else its own."""
    owner, _, name = path.rpartition(".")
    return owner if name == CHILD else path
