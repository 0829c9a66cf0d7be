"""An adapter file: what was added to a network or trained in it, without the weights of its base."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from foveate.attention.custom import custom_mechanism
from foveate.errors import RequestError, shortened
from foveate.models.backbones.head import declared_heads
from foveate.models.checkpoint.base import Base
from foveate.models.checkpoint.rebuild_check import first_difference
from foveate.models.checkpoint.state_dicts import tensors_of
from foveate.models.checkpoint.weight_files import read_weights
from foveate.models.sites.attach import Placement, attached
from foveate.models.sites.channel_scale import create_module
from foveate.models.sites.forward_pass import random_image, timm_config
from foveate.models.sites.gate import ungated
from foveate.models.sites.given import Built
from foveate.models.sites.outputs import tensors_in
from foveate.models.sites.own import removed_own
from foveate.models.sites.wrappers import unwrap
from foveate.modes import evaluating

__all__ = ["check_base", "check_probe", "fill_adapter", "split"]

RUNNING = "running_mean"
"""A module with a buffer of this name is a norm with running statistics, whatever its class."""
PROBED = 16
"""Values of an output that are kept."""
TOLERANCE, SMALLEST = 1e-3, 1e-6
"""Of an output that the same weights give on another machine: a share of its largest value, which counts as
at least so much."""


def check_settings(model: nn.Module) -> None:
    """Raise RequestError if attention in `model` is not what its class, with its options, builds again."""
    for path, module in attached(model).items():
        inner = ungated(module)
        with torch.random.fork_rng(devices=[]):
            again = _build_again(_placement(module), inner)
        if difference := first_difference(inner, again):
            raise RequestError(
                f"the attention at {path} is not what is built again from its class and its options "
                f"({difference}): give attach a class with options, or a function, in place of modules that "
                "are built or changed by hand; or save the whole network"
            )


def _placement(module: nn.Module) -> Placement:
    placement = module.placement
    assert isinstance(placement, Placement)
    return placement


def _build_again(placement: Placement, inner: nn.Module) -> nn.Module:
    if placement.custom is None:
        return create_module(placement.name, placement.channels, **placement.options)
    if isinstance(placement.custom.make, Built):
        return custom_mechanism(type(inner)).build(placement.channels)
    return placement.custom.build(placement.channels, **placement.options)


def split(
    model: nn.Module, tensors: Mapping[str, Tensor], base: nn.Module | str | Path | None
) -> tuple[dict[str, Tensor], Base]:
    """Return the tensors of `model` that an adapter keeps, and the base that the others are of.

    With `base`, the network without attention that `model` was made from or a file of its weights, they are
    those that the base does not have, or has with other values. Without it they are those of the attention,
    of the head, whatever learns (requires_grad), and the statistics of batch norms.

    Raises RequestError where nothing is left for the base: an adapter would be the whole network.
    """
    check_settings(model)
    kept = _that_differ(tensors, base) if base is not None else _that_learn(model, tensors)
    rest = {key: value for key, value in tensors.items() if key not in kept}
    if not any(value.is_floating_point() for value in rest.values()):
        cure = (
            "each has another value in the base that was passed"
            if base is not None
            else "freeze the backbone (requires_grad_(False)) before its training, or pass the base that it "
            "was made from, base=, to keep what differs from it"
        )
        raise RequestError(
            f"every weight of this {type(model).__name__} would be in the adapter: {cure}. To save the whole "
            "network, leave out only="
        )
    if isinstance(base, nn.Module):
        there = _without(unwrap(base).state_dict(), kept, removed_own(model))
        if odd := sorted(rest.keys() ^ there.keys()):
            raise RequestError(
                f"this {type(model).__name__} and its base do not have the same tensors beside the attention "
                f"({shortened(odd)}): an adapter changes no modules of its base. Save the whole network"
            )
    return {key: tensors[key] for key in kept}, Base(_name(model), _digest(rest), probe(model))


def _without(tensors: Mapping[str, Tensor], kept: Iterable[str], removed: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors of a base that stay: neither kept in the adapter, nor of attention taken out."""
    gone = tuple(f"{path}." for path in removed)
    kept = set(kept)
    return {key: value for key, value in tensors.items() if key not in kept and not key.startswith(gone)}


@torch.no_grad()
def probe(model: nn.Module) -> list[float]:
    """Return a few values of the output of `model` for a fixed image; none where it takes no image."""
    try:
        with evaluating(model):
            values = tensors_in(model(random_image(model, timm_config(model).get("input_size"))))[0]
    except Exception:  # each network takes what it takes
        return []
    picked = values.flatten()[:: max(values.numel() // PROBED, 1)][:PROBED]
    return [float(one) for one in picked.float().nan_to_num().tolist()]


def check_probe(network: nn.Module, wanted: Base, path: Path) -> None:
    """Raise RequestError if the network gives another output than the one that the adapter was saved from."""
    if not wanted.output:
        return
    got = torch.tensor(probe(network) or [torch.inf])
    expected = torch.tensor(wanted.output)
    far = TOLERANCE * max(SMALLEST, expected.abs().max().item())
    if got.shape != expected.shape or (got - expected).abs().max() > far:
        raise RequestError(
            f"{path}: with this base the network gives another output than when the adapter was saved. The "
            "weights are the same: build the base with the same arguments and settings, and attach with "
            "options what was set by hand"
        )


def _that_differ(tensors: Mapping[str, Tensor], base: nn.Module | str | Path) -> set[str]:
    there = (
        unwrap(base).state_dict()
        if isinstance(base, nn.Module)
        else read_weights(Path(base), trust_pickle=False)
    )
    return {key for key, value in tensors.items() if key not in there or not _equal(value, there[key])}


def _equal(ours: Tensor, theirs: Tensor) -> bool:
    same = ours.shape == theirs.shape and ours.dtype == theirs.dtype
    return same and torch.equal(ours, theirs.detach().cpu())


def _that_learn(model: nn.Module, tensors: Mapping[str, Tensor]) -> set[str]:
    inside = (*attached(model), *declared_heads(model))
    added = {key for key in tensors if key.startswith(tuple(f"{path}." for path in inside))}
    learning = {key for key, value in model.named_parameters() if value.requires_grad}
    statistics = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if RUNNING in dict(module.named_buffers(recurse=False))
        for name, _ in module.named_buffers(recurse=False)
    }
    return (added | learning | statistics) & tensors.keys()


def _name(model: nn.Module) -> str:
    return str(timm_config(model).get("architecture") or type(model).__name__)


def check_base(
    base: nn.Module, wanted: Base, kept: Iterable[str], removed: Sequence[str], path: Path
) -> None:
    """Raise RequestError unless `base` has the weights that the adapter at `path` was made on.

    `removed` are the places of attention of the base's own that the adapter does without.
    """
    rest = _without(base.state_dict(), kept, removed)
    if any(value.is_meta for value in rest.values()):
        raise RequestError(f"base={type(base).__name__}(…) is on the meta device: give it its weights first")
    if _digest(rest) != wanted.digest:
        raise RequestError(
            f"{path} is an adapter for {wanted.name}, and base={_name(base)} has other weights (their digest "
            f"begins with {_digest(rest)[:12]}, expected {wanted.digest[:12]}): load the weights that it was "
            "trained on into the base first, in their own precision"
        )


def fill_adapter(network: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """Load the tensors of an adapter into its base with attention; RequestError if any does not fit."""
    own = network.state_dict()
    wrong = [key for key, value in kept.items() if key not in own or own[key].shape != value.shape]
    if wrong:
        raise RequestError(
            f"{len(wrong)} weights of the adapter do not fit ({shortened(wrong)}): give the base the same "
            "number of outputs, and the same modules"
        )
    with torch.no_grad():
        for key, tensor in tensors_of(network).items():
            if key in kept:
                tensor.data = kept[key].to(tensor.device, copy=True)  # in its own precision


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
