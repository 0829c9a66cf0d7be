"""What a CPU kernel takes of a module: its weights where they lie, and its numbers.

Reading them means walking the module. What was found is kept with where it was found, and the next call only
looks whether all of it is still there: the same tensors in the same places and the same memory, the same
numbers, nobody who listens. Values are never kept: a kernel reads the weights themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["KERNELS", "MOST_BRANCHES", "MOST_MID_CHANNELS", "REMEMBERED", "Parts", "read_parts"]

KERNELS: dict[str, Callable[[Any], list[float]]] = {
    "ca": lambda module: [],
    "cbam": lambda module: [],
    "dmsca": lambda module: [module._modules["tca"].temperature or 0.0],
    "se": lambda module: [],
    "simam": lambda module: [module.e_lambda],
}
"""Mechanisms with a kernel (`plan` in `cpu/NAME.py`): their numbers beside the eps of norms."""

REMEMBERED = "_kernel_parts"  # attribute of a module, not a part of its state
MOST_BRANCHES = MOST_MID_CHANNELS = 8  # of DMSCA
OWN = {
    "torch.nn.modules.conv",
    "torch.nn.modules.container",
    "torch.nn.modules.activation",
    "foveate.attention.norm",
    "foveate.attention.spatial",
}
"""Modules of Python whose classes a kernel knows, beside the mechanism's own."""


_get: Callable[[Any, str], Any] = dict.get


@dataclass(eq=False)
class Parts:
    """The weights of a module, depth first as in its state dict, and its numbers: its own, then every eps.

    `last` is how the module was last carried out: the circumstances of the choice, and the kernel's plan. A
    copy of a module remembers nothing.
    """

    weights: list[Tensor]
    numbers: list[float]
    norms: list[Any]
    addresses: list[int] = field(default_factory=list)
    kernels: list[Tensor] = field(default_factory=list)  # weights whose layout can be another
    dictionaries: list[Any] = field(default_factory=list)  # where each part and weight was
    names: list[str] = field(default_factory=list)  # found, by which name,
    values: list[object] = field(default_factory=list)  # and what
    listeners: list[Mapping[int, Any]] = field(default_factory=list)  # where hooks would be
    last: tuple[tuple[Any, ...], Any] | None = None

    def hold(self, own_numbers: list[float]) -> bool:
        """Whether all is as it was read. It runs at every call, between passes that empty the caches."""
        first = self.weights[0] if self.weights else None
        return (
            all(map(is_, map(_get, self.dictionaries, self.names), self.values))
            and list(map(Tensor.data_ptr, self.weights)) == self.addresses
            and not any(self.listeners)
            and own_numbers + [norm.eps for norm in self.norms] == self.numbers
            and not any(norm.training for norm in self.norms)
            and (first is None or first.dtype is torch.float32)  # all change their dtype and layout at once
            and all(map(Tensor.is_contiguous, self.kernels))
        )

    def found(self, dictionary: Any, name: str, value: object) -> None:
        """Note where something was found."""
        self.dictionaries.append(dictionary)
        self.names.append(name)
        self.values.append(value)

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def read_parts(module: nn.Module, mechanism: str) -> Parts | str:
    """Read the parts of a module, or say in a sentence what of it no kernel can carry out."""
    numbers = KERNELS[mechanism](module)
    known = None if torch.compiler.is_compiling() else module.__dict__.get(REMEMBERED)
    if known is not None and known.hold(numbers):
        return known
    parts = Parts([], numbers, [])
    reason = _walk(module, type(module).__module__, parts) or _odd(module, mechanism)
    if reason is not None:
        return reason
    if not torch.compiler.is_compiling():
        parts.addresses = [weight.data_ptr() for weight in parts.weights]
        parts.kernels = [weight for weight in parts.weights if weight.ndim == 4 and weight.shape[-1] > 1]
        module.__dict__[REMEMBERED] = parts
    return parts


def _odd(module: Any, mechanism: str) -> str | None:
    if mechanism == "dmsca" and len(module.msce.branches) > MOST_BRANCHES:
        return f"the kernel takes {MOST_BRANCHES} kernel sizes at the most"
    if mechanism == "dmsca" and module.dii.embed[0].out_channels > MOST_MID_CHANNELS:
        return f"the kernel takes {MOST_MID_CHANNELS} mid_channels at the most"
    return None


def _walk(module: Any, home: str, parts: Parts) -> str | None:
    is_norm = "running_var" in module._buffers
    for place in (module._parameters, module._buffers):
        for name, value in place.items():
            if name == "num_batches_tracked" or (value is None and not is_norm):
                continue
            if value is None:
                return "a norm has no statistics or weights of its own"
            if value.dtype is not torch.float32:
                return "a weight is not float32"
            parts.found(place, name, value)
            parts.weights.append(value)
    if is_norm:
        if module.training:
            return "a norm is in training mode, and its kernels are for inference (model.eval())"
        parts.norms.append(module)
        parts.numbers.append(module.eps)
    for name, part in module._modules.items():
        if part._forward_hooks or part._forward_pre_hooks:
            return "a part of the module has a hook, which a kernel would pass by"
        if type(part).__module__ not in OWN and type(part).__module__ != home:
            return "a part of the module was replaced"
        parts.found(module._modules, name, part)
        parts.listeners += [part._forward_hooks, part._forward_pre_hooks]
        reason = _walk(part, home, parts)
        if reason is not None:
            return reason
    return None
