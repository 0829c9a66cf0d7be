"""The weights and numbers that a kernel reads of a module, found once and kept with the places they lie.

What it does: reading a module's weights means walking through all its children and their tables. `Parts`
keeps the tables, the tensors that were in them and the tensors' addresses in memory. The next call does not
walk; `is_current` compares what was found with what is there now: the same tensors in the same tables at the
same addresses with the same shapes and strides, the same numbers, no new hook. Values are never kept: a
kernel reads the weights' memory at every call.

Why: a call of DMSCA on a map (1, 64, 7, 7) takes 80 µs with what was kept and 464 µs when the module is read
anew (medians of 60 alternating rounds, one thread of an AMD EPYC, torch 2.15.0). ResNet-50 has 16 such calls.

Last seen with torch 2.15.0; the private tables it reads are in foveate/torch_private.py.

Fallback: a module that fails the comparison is read anew, and where it has something that no kernel can
compute, a sentence names that and the equations run. Within torch.compile nothing is kept. Two changes are
not noticed after the first call: a setting of a convolution, such as its dilation, that is assigned, and a
table that is replaced as a whole (`module._parameters = {...}`).
tests/kernels/test_kernel_parts.py changes a module in all ways that are noticed.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import contains, is_
from typing import Any

import torch
from torch import Tensor, nn

from foveate.kernels.anatomy import KERNELS, describe_part, find_difference
from foveate.torch_private import (
    buffers_of,
    children_of,
    forward_hooks_of,
    global_forward_hooks,
    parameters_of,
)

__all__ = ["CACHED_PARTS", "Parts", "find_hook", "read_parts"]

CACHED_PARTS = "_kernel_parts"
"""The attribute in which a module keeps its Parts; it is no part of the module's state."""

CPU = torch.device("cpu")
FIRST = ("weight", "bias", "running_mean", "running_var")
"""Weights are read in this order: that of a table changes where one is deleted and set again."""

WIDTHS = (torch.float32, torch.bfloat16, torch.float16)

_values: Callable[[Any], Iterable[object]] = dict.values


@dataclass(eq=False)
class Parts:
    """The weights of a module in the order of its state dict, and its numbers: its own, then every eps.

    `last` holds the cache key and the kernel's plan of the last call, with None for a plan that cannot be
    kept. A copy of a module starts without Parts.
    """

    module: nn.Module
    mechanism: str
    numbers: list[float]
    device: torch.device
    weights: list[Tensor] = field(default_factory=list)
    norms: list[dict[str, Any]] = field(default_factory=list)  # the __dict__ of each
    kinds: list[str] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)  # of children, parameters and buffers that are not empty,
    values: list[object] = field(default_factory=list)  # and all that was in them, in this order
    sized: list[Any] = field(default_factory=list)  # these tables and those of hooks,
    sizes: list[int] = field(default_factory=list)  # and how many entries each had
    attributes: list[Any] = field(default_factory=list)  # the __dict__ of each child
    layout: tuple[Any, ...] = ()
    last: tuple[tuple[Any, ...], Any] | None = None

    def is_current(self, module: nn.Module) -> bool:
        """Return whether nothing has changed since the module was read. This runs at every call.

        In a network nothing of what it reads is in the caches any more, so it reads as little as it can, and
        calls as few functions.
        """
        return (
            self.module is module
            and all(map(is_, chain.from_iterable(map(_values, self.tables)), self.values))
            and self.memory_layout() == self.layout
            and [*map(len, self.sized)] == self.sizes
            and not any(map(contains, self.attributes, repeat("forward")))
            and self.read_numbers() == self.numbers
        )

    def memory_layout(self) -> tuple[Any, ...]:
        """Return address, shape and strides of each weight; dtype and device of one: all change at once."""
        first = self.weights[:1]
        return (
            [*map(Tensor.data_ptr, self.weights)],
            [*map(Tensor.size, self.weights)],
            [*map(Tensor.stride, self.weights)],
            [(weight.dtype, weight.device) for weight in first],
        )

    def read_numbers(self) -> list[float]:
        """Return the mechanism's own numbers, then the eps of every norm, NaN if it is in training mode."""
        own = KERNELS[self.mechanism](self.module)
        return own + [math.nan if norm["training"] else norm["eps"] for norm in self.norms]

    def note_table(self, table: Any) -> None:
        """Keep a table, and what is in it."""
        if table:
            self.tables.append(table)
            self.values += table.values()
            self.note_sizes(table)

    def note_sizes(self, *tables: Any) -> None:
        """Keep how many entries tables have: of hooks no more is noticed."""
        self.sized += tables
        self.sizes += map(len, tables)

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def read_parts(module: nn.Module, mechanism: str, device: torch.device = CPU) -> Parts | str:
    """Return the parts of a module on a device, or a sentence that says what of it no kernel can compute."""
    compiling = torch.compiler.is_compiling()
    cached = None if compiling else module.__dict__.get(CACHED_PARTS)
    if cached is not None and cached.device == device and cached.is_current(module):
        return cached
    parts = Parts(module, mechanism, [], device)
    hooks = global_forward_hooks()
    if any(hooks):
        return "hooks are registered for all modules (register_module_forward_hook)"
    parts.note_sizes(*hooks)
    names = [*children_of(module)]
    reason = _walk(module, parts) or find_difference(mechanism, names, parts.kinds, parts.weights)
    if reason is not None:
        return reason
    parts.numbers = parts.read_numbers()
    if not compiling:
        parts.layout = parts.memory_layout()
        module.__dict__[CACHED_PARTS] = parts
    return parts


def _walk(module: Any, parts: Parts) -> str | None:
    parts.kinds.append(describe_part(module))
    for table in (parameters_of(module), buffers_of(module)):
        parts.note_table(table)
        for name in sorted(table, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
            value = table[name]
            if name == "num_batches_tracked" or value is None:
                continue
            if type(value) not in (Tensor, nn.Parameter) or value.device != parts.device:
                return f"a weight is not on {parts.device}, or is a tensor of another class"
            if value.dtype is not torch.float32 and (parts.device == CPU or value.dtype not in WIDTHS):
                return "a weight is not float32"
            parts.weights.append(value)
    if parts.kinds[-1] == "norm":
        if module.training:
            return "a norm is in training mode, and the kernels are for inference (model.eval())"
        parts.norms.append(module.__dict__)
    children = children_of(module)
    parts.note_table(children)
    for part in children.values():
        if part is None:
            return "a part of the module is missing"
        parts.note_sizes(*forward_hooks_of(part))
        parts.attributes.append(part.__dict__)
        reason = _why_to_call(part) or _walk(part, parts)
        if reason is not None:
            return reason
    return None


def _why_to_call(part: nn.Module) -> str | None:
    """Return in a sentence why a part must be called, which only the equations do, or None."""
    if any(forward_hooks_of(part)):
        return "a part of the module has a hook, which only the equations run"
    if "forward" in part.__dict__:
        return "the forward of a part of the module was replaced"
    return None


def find_hook(module: nn.Module) -> str | None:
    """Return a sentence that names a hook or a forward of a part of `module` that only the equations run."""
    return next(filter(None, map(_why_to_call, list(module.modules())[1:])), None)
