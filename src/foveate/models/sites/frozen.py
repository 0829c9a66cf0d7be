"""Attention in parts of a network that do not learn."""

import warnings
from collections.abc import Collection

from torch import nn

from foveate.errors import shortened

__all__ = ["warn_of_frozen_stages"]


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
