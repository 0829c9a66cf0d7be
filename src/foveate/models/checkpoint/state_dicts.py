"""Load weights into a network with attention: each key and each value is accounted for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, shortened
from foveate.models.checkpoint.weight_files import read_weights
from foveate.models.sites.attach import attached
from foveate.models.sites.wrappers import unwrap

__all__ = ["check_weights", "fill", "load_weights", "misfits", "tensors_of", "without_wrappers"]

WRAPPERS = ("module.", "_orig_mod.", "model.")
"""The prefixes that parallel training, compiling and Lightning put before each key."""
AVERAGED = "n_averaged"
"""The count that torch's AveragedModel keeps beside the network, which it calls `module`."""
SHOWN = 4


def load_weights(
    model: nn.Module, weights: Mapping[str, Tensor] | str | Path, *, trust_pickle: bool = False
) -> list[str]:
    """Load weights into `model`; return the keys that the weights lack: all of the attention's, or none.

    `weights` is a state dict or a safetensors file, of the backbone alone or of the network with its
    attention. `trust_pickle` also reads torch's own files, such as a .pth, which can run any code that their
    author put in; the state dict of a checkpoint is found in them as timm does. A compiled or parallel
    `model` is filled inside. The prefixes "module.", "_orig_mod." and "model." are removed where each key of
    the weights has them, as is the count of torch's AveragedModel. A tensor that the network has under two
    names is needed under one.

    Raises RequestError for any other difference in names, shapes or kinds of values, for a network on the
    meta device, and for files that are neither; `model` is then unchanged.
    """
    model = unwrap(model)
    if isinstance(weights, str | os.PathLike):
        weights = read_weights(Path(weights), trust_pickle=trust_pickle)
    if not isinstance(weights, Mapping):
        raise RequestError(
            f"weights are a {type(weights).__name__}: expected a state dict, or the path of a file"
        )
    if isinstance(weights.get("state_dict"), Mapping):
        raise RequestError(
            f"weights are a whole checkpoint with {shortened(weights)}: pass its ['state_dict'] alone"
        )
    weights = without_wrappers(weights, model)
    new = check_weights(model, weights)
    own = tensors_of(model)
    if any(value.is_meta for value in own.values()):
        raise RequestError(
            f"{type(model).__name__} is on the meta device, where no memory holds weights: give it some "
            "first, as in model.to_empty(device='cpu')"
        )
    before = {key: value.detach().clone() for key, value in own.items()}
    try:
        model.load_state_dict(dict(weights), strict=False)
    except Exception as error:  # modules may override how they load their state
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(before[key])
        raise RequestError(
            f"{type(model).__name__} does not take the weights, and is as it was: {error}"
        ) from error
    return new


class Misfits(NamedTuple):
    """How weights differ from what a network needs."""

    new: list[str]  # the keys of the attention, where the weights have none of it
    faults: dict[str, list[str]]  # what does not fit, by what is wrong with it

    def in_words(self) -> str | None:
        """Name the first keys of each fault; None where there is none."""
        parts = [
            f"{len(keys)} {words}: {', '.join(keys[:SHOWN])}{', …' * (len(keys) > SHOWN)}"
            for words, keys in self.faults.items()
        ]
        return "; ".join(parts) or None


def check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Return what `load_weights` would; RequestError names the first keys and values that do not fit."""
    found = misfits(model, weights)
    if found.faults:
        raise RequestError(
            f"the weights are not those of this {type(model).__name__} ({found.in_words()}). Build the "
            "network that they were saved from, with as many classes and channels and the same attention"
        )
    return found.new


def misfits(model: nn.Module, weights: Mapping[str, Tensor]) -> Misfits:
    """Compare `weights` with what `model` keeps: names, shapes, and kinds of values."""
    own = model.state_dict(keep_vars=True)
    tensors = {key: value for key, value in own.items() if isinstance(value, Tensor)}
    # One tensor can have several names: it is there if one of them is.
    held = {id(tensors[key]) for key in weights if key in tensors}
    missing = [key for key in own if key not in weights and id(own[key]) not in held]
    attention = [key for key in own if key.startswith(_attention_prefixes(model))]
    new = attention if set(attention) <= set(missing) else []
    needed = set(missing) - set(new)
    both = {key: (weights[key], value) for key, value in tensors.items() if key in weights}
    given = {key: pair for key, pair in both.items() if isinstance(pair[0], Tensor)}
    faults = {
        # Weights from before torch counted batches have no count; torch fills it in.
        "it needs and they lack": [
            key for key in missing if key in needed and not key.endswith("num_batches_tracked")
        ],
        "they have and it does not know": [str(key) for key in weights if key not in own],
        "are no tensors": [
            f"{key} ({type(value).__name__})" for key, (value, _) in both.items() if key not in given
        ],
        "differ in shape": [
            f"{key} {tuple(theirs.shape)} for {tuple(ours.shape)}"
            for key, (theirs, ours) in given.items()
            if theirs.shape != ours.shape
        ],
        "differ in kind": [
            f"{key} {theirs.dtype} for {ours.dtype}"
            for key, (theirs, ours) in given.items()
            if _kind(theirs) != _kind(ours)
        ],
        "have no values in memory": [
            f"{key} ({theirs.device}, {theirs.layout})"
            for key, (theirs, _) in given.items()
            if theirs.is_meta or theirs.layout != torch.strided
        ],
    }
    return Misfits(new, {words: keys for words, keys in faults.items() if keys})


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load copies of `tensors`, already checked, with their dtypes; tensors that are shared stay shared."""
    copies: dict[int, Tensor] = {}
    # Copies, because kernels round differently for tensors that are not aligned in memory.
    for key, own in tensors_of(network).items():
        if key in tensors and id(own) not in copies:
            copy = tensors[key].clone()
            shared = nn.Parameter(copy, requires_grad=False) if isinstance(own, nn.Parameter) else copy
            copies[id(own)] = shared
    given = {key: copies[id(own)] for key, own in tensors_of(network).items() if id(own) in copies}
    network.load_state_dict(given, strict=False, assign=True)


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of `model` by key, not as copies: one with two names occurs twice."""
    return {
        key: value for key, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)
    }


def without_wrappers(weights: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """Return `weights` by the names of `model`, without the prefixes of its wrappers."""
    own = [*model.state_dict()]
    rest = {key: value for key, value in weights.items() if key != AVERAGED}
    if AVERAGED not in own and _all_begin(rest, "module."):
        weights = rest
    foreign = [prefix for prefix in WRAPPERS if not any(key.startswith(prefix) for key in own)]
    while prefix := next((prefix for prefix in foreign if _all_begin(weights, prefix)), None):
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def _all_begin(weights: Mapping[str, Tensor], prefix: str) -> bool:
    return bool(weights) and all(isinstance(key, str) and key.startswith(prefix) for key in weights)


def _attention_prefixes(model: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the keys of attention, under each name of the modules that hold it."""
    modules = {id(module) for module in attached(model).values()}
    return tuple(
        f"{path}." for path, module in model.named_modules(remove_duplicate=False) if id(module) in modules
    )


def _kind(value: Tensor) -> str:
    if value.is_complex():
        return "complex"
    return "floating" if value.is_floating_point() else "whole"
