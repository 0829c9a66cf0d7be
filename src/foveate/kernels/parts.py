"""What a CPU kernel takes of a module: its weights where they lie, and its numbers.

Reading them means walking the module. What was found is kept with where it was found, and the next call only
looks whether all of it is still there: the same tensors in the same places and the same memory, the same
numbers, nobody who listens. Values are never kept: a kernel reads the weights themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from operator import contains, is_
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from foveate.kernels.anatomy import KERNELS, describe_part, find_difference

__all__ = ["REMEMBERED", "Parts", "read_parts"]

REMEMBERED = "_kernel_parts"  # attribute of a module, not a part of its state

_get: Callable[[Any, str], Any] = dict.get


@dataclass(eq=False)
class Parts:
    """The weights of a module, depth first as in its state dict, and its numbers: its own, then every eps.

    `last` is how the module was last carried out: the circumstances of the choice, and the kernel's plan, or
    None where it is made anew each time. A copy of a module remembers nothing.
    """

    module: nn.Module
    numbers: list[float]
    weights: list[Tensor] = field(default_factory=list)
    norms: list[Any] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    dictionaries: list[Any] = field(default_factory=list)  # where each part and weight was found,
    names: list[str] = field(default_factory=list)  # by which name,
    values: list[object] = field(default_factory=list)  # and what
    attributes: list[Any] = field(default_factory=list)  # of each part
    listeners: list[Mapping[int, Any]] = field(
        default_factory=lambda: [_global_forward_hooks, _global_forward_pre_hooks]
    )
    layout: tuple[Any, ...] = ()
    last: tuple[tuple[Any, ...], Any] | None = None

    def hold(self, module: nn.Module) -> bool:
        """Whether all is as it was read. It runs at every call, between passes that empty the caches."""
        return (
            self.module is module
            and all(map(is_, map(_get, self.dictionaries, self.names), self.values))
            and self.where_weights_lie() == self.layout
            and not any(self.listeners)
            and not any(map(contains, self.attributes, repeat("forward")))
            and self.read_numbers() == self.numbers
            and not any(norm.training for norm in self.norms)
        )

    def where_weights_lie(self) -> tuple[Any, ...]:
        """Address, shape and strides of every weight; all change their dtype and device at once."""
        first = self.weights[:1]
        return (
            [*map(Tensor.data_ptr, self.weights)],
            [*map(Tensor.size, self.weights)],
            [*map(Tensor.stride, self.weights)],
            [(weight.dtype, weight.device) for weight in first],
        )

    def read_numbers(self) -> list[float]:
        """The mechanism's own numbers, then every eps."""
        own = KERNELS[type(self.module).forward.mechanism](self.module)  # type: ignore[attr-defined]
        return own + [norm.eps for norm in self.norms]

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
    compiling = torch.compiler.is_compiling()
    known = None if compiling else module.__dict__.get(REMEMBERED)
    if known is not None and known.hold(module):
        return known
    parts = Parts(module, KERNELS[mechanism](module))
    if any(parts.listeners):
        return "all modules are watched (register_module_forward_hook)"
    reason = _walk(module, parts) or find_difference(mechanism, parts.kinds, parts.weights)
    if reason is not None:
        return reason
    if not compiling:
        parts.layout = parts.where_weights_lie()
        module.__dict__[REMEMBERED] = parts
    return parts


def _walk(module: Any, parts: Parts) -> str | None:
    parts.kinds.append(describe_part(module))
    for place in (module._parameters, module._buffers):
        for name, value in place.items():
            if name == "num_batches_tracked":
                continue
            parts.found(place, name, value)
            if value is None:
                continue
            if type(value) not in (Tensor, nn.Parameter) or value.device.type != "cpu":
                return "a weight is not on the CPU, or a tensor of another class"
            if value.dtype is not torch.float32:
                return "a weight is not float32"
            parts.weights.append(value)
    if parts.kinds[-1] == "norm":
        if module.training:
            return "a norm is in training mode, and its kernels are for inference (model.eval())"
        parts.norms.append(module)
        parts.numbers.append(module.eps)
    for name, part in module._modules.items():
        parts.found(module._modules, name, part)
        if part is None:
            return "a part of the module is gone"
        if part._forward_hooks or part._forward_pre_hooks:
            return "a part of the module has a hook, which a kernel would pass by"
        if "forward" in part.__dict__:
            return "a part of the module has a forward of its own"
        parts.listeners += [part._forward_hooks, part._forward_pre_hooks]
        parts.attributes.append(part.__dict__)
        reason = _walk(part, parts)
        if reason is not None:
            return reason
    return None
