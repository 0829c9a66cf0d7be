"""An adapter file: what was added to a network or trained in it, without the weights of its base."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from foveate.errors import RequestError, shortened
from foveate.models.backbones.head import declared_heads
from foveate.models.backbones.preprocessing import expect
from foveate.models.checkpoint.weight_files import read_weights
from foveate.models.sites.attach import attached
from foveate.models.sites.forward_pass import timm_config
from foveate.models.sites.wrappers import unwrap

__all__ = ["Base", "check_base", "fill_adapter", "split"]


@dataclass(frozen=True)
class Base:
    """The network that an adapter belongs to. The fields are the keys in the file.

    Attributes:
        name: timm's name, or the class.
        digest: the SHA-256 of the tensors that the adapter does not hold, with their names and shapes.
    """

    name: str
    digest: str

    @classmethod
    def from_json(cls, given: Any) -> "Base":
        """Read what was written; RequestError for other keys or types."""
        keys = isinstance(given, dict) and set(given) == {"name", "digest"}
        expect(keys, "base", given, "an object with name and digest")
        expect(all(isinstance(value, str) for value in given.values()), "base", given, "two texts")
        return cls(**given)


def split(
    model: nn.Module, tensors: Mapping[str, Tensor], base: nn.Module | str | Path | None
) -> tuple[dict[str, Tensor], Base]:
    """Return the tensors of `model` that an adapter keeps, and the base that the others are of.

    With `base`, the network without attention that `model` was made from or a file of its weights, they are
    those that the base does not have, or has with other values. Without it they are those of the attention,
    of the head, whatever learns (requires_grad), and the statistics of batch norms.

    Raises RequestError where nothing is left for the base: an adapter would be the whole network.
    """
    kept = _that_differ(tensors, base) if base is not None else _that_learn(model, tensors)
    rest = {key: value for key, value in tensors.items() if key not in kept}
    if not any(value.is_floating_point() for value in rest.values()):
        cure = (
            "pass the base that it was made from"
            if base is not None
            else "freeze the backbone (requires_grad_(False)) before its training, or pass the base that it "
            "was made from, base=, to keep what differs from it"
        )
        raise RequestError(
            f"every weight of this {type(model).__name__} would be in the adapter: {cure}. To save the whole "
            "network, leave out only="
        )
    return {key: tensors[key] for key in kept}, Base(_name(model), _digest(rest))


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
        if isinstance(module, _NormBase)
        for name, _ in module.named_buffers(recurse=False)
    }
    return (added | learning | statistics) & tensors.keys()


def _name(model: nn.Module) -> str:
    return str(timm_config(model).get("architecture") or type(model).__name__)


def check_base(base: nn.Module, wanted: Base, kept: Iterable[str], path: Path) -> None:
    """Raise RequestError unless `base` has the weights that the adapter at `path` was made on."""
    kept = set(kept)
    rest = {key: value for key, value in base.state_dict().items() if key not in kept}
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
    network.load_state_dict(dict(kept), strict=False)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
