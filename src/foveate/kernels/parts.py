"""What a CPU kernel takes of a module: its weights where they lie, and its numbers.

Reading them means walking the module. What was found is kept with where it was found, and the next call only
looks whether all of it is still there: the same tensors in the same places and the same memory, the same
numbers, nobody who listens. Values are never kept: a kernel reads the weights themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

__all__ = ["KERNELS", "Parts", "read_parts"]

KERNELS: dict[str, Callable[[Any], list[float]]] = {
    "ca": lambda module: [],
    "cbam": lambda module: [],
    "dmsca": lambda module: [module.tca.temperature or 0.0],
    "se": lambda module: [],
    "simam": lambda module: [module.e_lambda],
}
"""Mechanisms with a kernel (`plan` in `cpu/NAME.py`): their numbers beside the eps of norms."""

MOST_BRANCHES = MOST_MID_CHANNELS = 8  # of DMSCA
OWN = {
    "torch.nn.modules.conv",
    "torch.nn.modules.container",
    "torch.nn.modules.activation",
    "foveate.attention.norm",
    "foveate.attention.spatial",
}
"""Modules of Python whose classes a kernel knows, beside the mechanism's own."""


@dataclass
class Parts:
    """The weights of a module, depth first as in its state dict, and its numbers: its own, then every eps.

    `places` are where each weight and each part was found, `listeners` where hooks would be.
    """

    weights: list[Tensor] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    norms: list[Any] = field(default_factory=list)
    places: list[tuple[Mapping[str, Any], str, object]] = field(default_factory=list)
    listeners: list[Mapping[int, Any]] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)
    plans: dict[tuple[int, ...], Any] = field(default_factory=dict)
    """Of the kernel, by the shape of an image."""

    def hold(self, own_numbers: list[float]) -> bool:
        """Whether all is as it was read."""
        for place, name, value in self.places:
            if place.get(name) is not value:
                return False
        for listener in self.listeners:
            if listener:
                return False
        for weight, address in zip(self.weights, self.addresses, strict=True):
            if weight.data_ptr() != address or weight.dtype is not torch.float32:
                return False
            if not weight.is_contiguous():
                return False
        for norm in self.norms:
            if norm.training:
                return False
            own_numbers.append(norm.eps)
        return self.numbers == own_numbers


_known: WeakKeyDictionary[nn.Module, Parts] = WeakKeyDictionary()


def read_parts(module: nn.Module, mechanism: str) -> Parts | str:
    """Read the parts of a module, or say in a sentence what of it no kernel can carry out."""
    numbers = KERNELS[mechanism]
    if torch.compiler.is_compiling():
        parts = Parts(numbers=numbers(module))
        return _walk(module, type(module).__module__, parts) or _odd(module, mechanism) or parts
    known = _known.get(module)
    if known is not None and known.hold(numbers(module)):
        return known
    parts = Parts(numbers=numbers(module))
    reason = _walk(module, type(module).__module__, parts) or _odd(module, mechanism)
    if reason is not None:
        return reason
    parts.addresses = [weight.data_ptr() for weight in parts.weights]
    _known[module] = parts
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
            parts.places.append((place, name, value))
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
        parts.places.append((module._modules, name, part))
        parts.listeners += [part._forward_hooks, part._forward_pre_hooks]
        reason = _walk(part, home, parts)
        if reason is not None:
            return reason
    return None
