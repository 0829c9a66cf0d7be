"""Attention that does not learn, and attention in parts of a network that do not learn."""

import warnings
from collections.abc import Collection
from typing import Any

from torch import nn

from foveate.errors import RequestError, shortened

__all__ = ["check_learning", "is_frozen", "warn_of_frozen_stages"]


def is_frozen(module: nn.Module) -> bool:
    """Return whether `module` has parameters and none of them can learn."""
    found = False
    for parameter in module.parameters():  # it runs at every training step: the first one mostly learns
        if parameter.requires_grad:
            return False
        found = True
    return found


def check_learning(attention: Any) -> None:
    """Warn in training where `attention` is frozen; raise RequestError where it can never change anything.

    That is where the gate of `identity_init` is 0 and frozen.
    """
    placement = attention.placement
    gate = getattr(attention, "gate", None) if placement.identity_init else None
    if gate is not None and not gate.requires_grad and bool(gate == 0):  # reading it is a wait on a GPU
        raise RequestError(
            f"the gate of the attention at {placement.path!r} is 0 (identity_init) and frozen "
            "(requires_grad=False): the attention can never change anything. Let it learn: for module in "
            "foveate.attached(model).values(): module.requires_grad_(True). Or take it out: "
            "foveate.detach(model)"
        )
    if is_frozen(attention):
        warnings.warn(  # the same text at every site, so that Python shows it once
            "attention runs in training, and its parameters are frozen (requires_grad=False), as in the "
            "stages that a detector's constructor freezes: it will not learn. To let it learn: for module in "
            "foveate.attached(model).values(): module.requires_grad_(True)",
            stacklevel=3,
        )


def warn_of_frozen_stages(model: nn.Module, paths: Collection[str]) -> None:
    """Warn where attention at `paths` will learn in a part of `model` that does not, while others do.

    A detector's constructor freezes the first stages of its backbone. What is attached afterwards learns:
    that is mostly wanted, and is a surprise where the stages were frozen to keep their maps.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return
    frozen = [path for path in paths if _lies_in_frozen(model, path)]
    if frozen:
        warnings.warn(
            f"{len(frozen)} of the {len(paths)} sites lie in frozen parts of {type(model).__name__} "
            f"(requires_grad=False): {shortened(frozen)}. The attention there is trainable, the parts stay "
            "frozen. To leave these sites out, choose others with stages= or at=",
            stacklevel=3,
        )


def _lies_in_frozen(model: nn.Module, path: str) -> bool:
    """Return whether the nearest part around the module at `path` that has parameters learns none of them."""
    steps = path.split(".")
    for count in reversed(range(len(steps))):
        parameters = list(model.get_submodule(".".join(steps[:count])).parameters())
        if parameters:
            return not any(parameter.requires_grad for parameter in parameters)
    return False
