"""Find the layer that can take the factors of a site's channels, without knowing the network.

Scaling the map at a site by one factor a channel is often the same as scaling a layer: the norm that gives
the map, the last linear layer of the branch, the convolutions that read the map. Candidates are found in one
forward pass, the nearest first. Each is tried in a float64 copy of the network: where it gives the outputs of
the network with the map scaled, by factors drawn at random, both are the same function. Other attention acts
in that copy as a gate that depends on its map, so that nothing is moved past it. The norm or convolution that
attention directly follows needs no trial.
"""

import copy
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foveate.models.folding.replacing import find_placements, put_modules
from foveate.models.folding.scaling import input_tensors, output_tensors, scale_input, scale_output
from foveate.models.sites.channel_scale import ChannelScale
from foveate.models.sites.forward_pass import drop_forward_hooks
from foveate.models.sites.insertion import CHILD, original_class
from foveate.models.sites.outputs import tensors_in
from foveate.torch_private import forward_hooks_of

__all__ = ["Layer", "find_layers", "scale_layers"]

MOST_TRIED = 8
"""Layers that are tried on each side of a site."""
TOLERANCE = 1e-7
"""Of the effect of the factors on the outputs: below, two networks are the same but for rounding."""
VISIBLE = 1e-9
"""Of the outputs: factors of a smaller effect show nothing, as in a branch that timm starts at 0."""
SIMPLE = (nn.BatchNorm2d, nn.Conv2d, nn.LayerNorm, nn.Linear)
"""Layers whose output takes factors by their own equation: nothing must be tried where attention follows."""


@dataclass(frozen=True)
class Layer:
    """A layer that takes factors: of the channels that it gives, or of those that it reads."""

    path: str
    side: Literal["output", "input"]


Layers = tuple[Layer, ...]


class _StandIn(nn.Module):
    """A gate that depends on its map, in place of attention that stays: x ⊙ σ(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


@dataclass
class _Pass:
    """What a forward pass ran before the site and after it, and what read the map of the site: paths."""

    before: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@torch.no_grad()
def find_layers(
    model: nn.Module, images: Tensor, sites: Mapping[str, Tensor], kept: Collection[str]
) -> dict[str, Layers]:
    """Return by site the layers that together can take the factors of its channels; none where none can.

    Args:
        model: a network in eval mode with attention at `sites` and `kept`.
        images: a few images as it takes them. Each has one of noise beside it: whatever a network does not do
            on images of a kind, it may do on noise.
        sites: the factors (C,) by the path of the module at the site.
        kept: the paths of the modules at the sites whose attention stays.
    """
    placed = find_placements(model)
    found: dict[str, Layers] = {
        path: (Layer(path, "output"),)
        for path in sites
        if placed[path].position == "after" and _is_simple(model, path)
    }
    if len(found) == len(sites):
        return found
    work = copy.deepcopy(model).cpu().double()
    drop_forward_hooks(work)
    images = _with_noise(images.cpu().double())
    others: dict[str, nn.Module] = {other: _StandIn() for other in kept}
    put_modules(work, placed, others)
    plain = _answers(work, images)
    for path, factors in sites.items():
        if path in found:
            continue
        scale = ChannelScale(len(factors)).double()
        scale.weight.copy_(_random_like(factors))
        put_modules(work, placed, others | {path: scale})
        expected, seen = _watch(work, images, path, placed[path].position)
        put_modules(work, placed, others)
        effect = _distance(expected, plain)
        tried: list[Layers] = []
        if effect > VISIBLE * max(one.abs().max().item() for one in expected):
            tried = _candidates(work, path, placed[path].position, len(factors), seen)
        same = (
            layers
            for layers in tried
            if _is_same(work, images, layers, scale.weight, expected, TOLERANCE * effect)
        )
        found[path] = next(same, ())
    return found


def scale_layers(model: nn.Module, layers: Layers, factors: Tensor) -> None:
    """Let `layers` take `factors` (C,)."""
    for layer in layers:
        scale = scale_output if layer.side == "output" else scale_input
        scale(model.get_submodule(layer.path), factors)


def _with_noise(images: Tensor) -> Tensor:
    """Return images, and as many of normal noise with their mean and deviation."""
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=images.dtype)
    return torch.cat([images, images.mean() + images.std(correction=0) * drawn])


def _random_like(factors: Tensor) -> Tensor:
    """Return factors in ±[0.5, 2), other ones for each channel, with the signs of `factors`."""
    generator = torch.Generator().manual_seed(0)
    drawn = 0.5 + 1.5 * torch.rand(len(factors), generator=generator, dtype=torch.float64)
    return torch.where(factors.cpu() < 0, -drawn, drawn)


def _answers(model: nn.Module, images: Tensor) -> list[Tensor]:
    return tensors_in(model(images.clone()))


def _watch(model: nn.Module, images: Tensor, path: str, position: str) -> tuple[list[Tensor], _Pass]:
    """Run `model`, and record what ran before the attention at `path` and which modules read its output."""
    owner = model.get_submodule(path)
    seen = _Pass()
    output: list[Tensor] = []
    is_past: list[bool] = []

    def begins(name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        if is_past:
            seen.after.append(name)
        if output and args and args[0] is output[0]:
            seen.readers.append(name)

    def ends(name: str, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if not is_past:
            seen.before.append(name)
        if name == path and position == "after" and isinstance(result, Tensor):
            output.append(result)

    with ExitStack() as undo:
        for name, module in model.named_modules():
            undo.callback(module.register_forward_pre_hook(partial(begins, name)).remove)
            undo.callback(module.register_forward_hook(partial(ends, name)).remove)
        attention = owner.get_submodule(CHILD)
        undo.callback(attention.register_forward_pre_hook(lambda *_: is_past.append(True)).remove)
        answers = _answers(model, images)
    return answers, seen


def _candidates(model: nn.Module, path: str, position: str, channels: int, seen: _Pass) -> list[Layers]:
    """Return what could take the factors, the nearest first: before the site, or what reads its map."""

    def gives(name: str) -> bool:
        return bool(output_tensors(model.get_submodule(name), channels))

    def takes(name: str) -> bool:
        return bool(input_tensors(model.get_submodule(name), channels))

    before = [name for name in dict.fromkeys(reversed(seen.before)) if name != path and gives(name)]
    nearest: list[Layers] = []
    if position == "after" and gives(path):
        nearest.append((Layer(path, "output"),))
    if position == "before" and takes(path):
        nearest.append((Layer(path, "input"),))
    nearest += [(Layer(name, "output"),) for name in before[:MOST_TRIED]]
    if readers := tuple(Layer(name, "input") for name in dict.fromkeys(seen.readers) if takes(name)):
        nearest.append(readers)
    after = [name for name in dict.fromkeys(seen.after) if takes(name)]  # such as the head behind a pooling
    return [*nearest, *((Layer(name, "input"),) for name in after[:MOST_TRIED])]


def _is_same(
    model: nn.Module,
    images: Tensor,
    layers: Layers,
    factors: Tensor,
    expected: list[Tensor],
    tolerance: float,
) -> bool:
    """Return whether `model` with `layers` scaled gives the `expected` outputs; it is then as it was."""
    tensors = [
        tensor
        for layer in layers
        for tensor in (output_tensors if layer.side == "output" else input_tensors)(
            model.get_submodule(layer.path), len(factors)
        )
    ]
    before = [tensor.detach().clone() for tensor in tensors]
    scale_layers(model, layers, factors)
    try:
        return _distance(_answers(model, images), expected) <= tolerance
    finally:
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)


def _is_simple(model: nn.Module, path: str) -> bool:
    """Return whether the module at `path` takes factors of its output by its own equation, without a trial.

    That is not so where a hook computes its weights, or another module has them, too.
    """
    module = model.get_submodule(path)
    own = {id(tensor) for tensor in module.parameters(recurse=False)}
    names = [name for name, one in model.named_parameters(remove_duplicate=False) if id(one) in own]
    is_hooked = any(forward_hooks_of(module))
    return bool(own) and len(names) == len(own) and not is_hooked and original_class(module) in SIMPLE


def _distance(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))
