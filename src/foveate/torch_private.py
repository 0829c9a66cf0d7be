"""All private names of torch that foveate uses.

A release of torch may remove any of them without notice. tests/test_torch_private.py looks up every private
name in this file and fails with the name that is missing; no other file of foveate uses one. `import foveate`
must load neither torch's compiler nor its profiler, so these are imported inside the functions.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as module_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten_with_path, tree_leaves, tree_map_only

__all__ = [
    "TorchDispatchMode",
    "allocations",
    "arguments_of",
    "buffers_of",
    "children_of",
    "compiled_original",
    "forward_hooks_of",
    "fresh_compile_cache",
    "global_forward_hooks",
    "has_dispatch_mode",
    "inductor_settings",
    "is_compiled_in_place",
    "is_transformed",
    "leaves_by_path",
    "needs_every_operation",
    "operator_of",
    "parameters_of",
    "recompile_limit",
    "record_gradients_in_operator",
    "storage_id",
    "tree_leaves",
    "tree_map_only",
    "version_of",
]


# Modes of the running thread.

_transform = torch._C._functorch.peek_interpreter_stack
_dispatch_modes = torch._C._len_torch_dispatch_stack
_is_tracing = torch._C._is_tracing


def is_transformed() -> bool:
    """Return whether a transform of torch.func, or forward-mode differentiation, is active."""
    return _transform() is not None or forward_ad._current_level >= 0


def has_dispatch_mode() -> bool:
    """Return whether a TorchDispatchMode is active, such as that of a FLOP counter."""
    return _dispatch_modes() > 0


def needs_every_operation() -> bool:
    """Return whether one of these two is true, or torch.jit traces: one call where calls happen often."""
    return (
        _dispatch_modes() > 0 or _transform() is not None or forward_ad._current_level >= 0 or _is_tracing()
    )


def record_gradients_in_operator() -> AbstractContextManager[Any]:
    """Let autograd record inside the implementation of an operator, which it does not by default."""
    return torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False)


# The tables of a module: torch's own dicts, not copies, so they follow every change.


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the module's table of its own parameters, without those of its children."""
    return module._parameters


def buffers_of(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the module's table of its own buffers, without those of its children."""
    return module._buffers


def children_of(module: nn.Module) -> dict[str, nn.Module | None]:
    """Return the module's table of its children."""
    return module._modules


def forward_hooks_of(module: nn.Module) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return the module's tables of forward hooks and of forward pre-hooks."""
    return module._forward_hooks, module._forward_pre_hooks


def global_forward_hooks() -> tuple[dict[int, Any], dict[int, Any]]:
    """Return the tables of the forward hooks and the forward pre-hooks that run for all modules."""
    return module_hooks._global_forward_hooks, module_hooks._global_forward_pre_hooks


# Nested lists, tuples and dicts.


def leaves_by_path(tree: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return the leaves of a nested structure in torch's order, each with the keys and indices on its way."""
    leaves, _ = tree_flatten_with_path(tree)
    return [(tuple(map(_step, path)), leaf) for path, leaf in leaves]


def _step(key: Any) -> str | int:
    if hasattr(key, "idx"):  # of a sequence
        return int(key.idx)
    return str(getattr(key, "key", getattr(key, "name", key)))  # of a mapping; of a named tuple


# Compiling.


def compiled_original(module: nn.Module) -> nn.Module | None:
    """Return the module that torch.compile wrapped in `module`, or None if `module` is not a wrapper."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else None


def is_compiled_in_place(module: nn.Module) -> bool:
    """Return whether `module.compile()` was called."""
    return bool(module._compiled_call_impl)


@contextlib.contextmanager
def recompile_limit(at_least: int) -> Iterator[None]:
    """Let `at_least` variants of one function stay compiled; beyond its limit torch runs them uncompiled."""
    import torch._dynamo.config as config

    # torch 2.6 has the limit under its older name.
    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    with config.patch({name: max(getattr(config, name), at_least)}):
        yield


def inductor_settings(**settings: Any) -> AbstractContextManager[Any]:
    """Compile within the block with other settings of inductor, such as freezing=True.

    They hold for what is compiled in the block, which is at the first call of a compiled network. The
    `options` of torch.compile would not do: whether parameters are frozen is read before they are known.
    """
    import torch._inductor.config as config

    return config.patch(settings)


def fresh_compile_cache() -> AbstractContextManager[Any]:
    """Compile within the block as if nothing had been compiled before."""
    from torch._inductor import utils

    # Until torch 2.8 it was called fresh_inductor_cache.
    fresh = getattr(utils, "fresh_cache", None) or utils.fresh_inductor_cache
    return fresh()


# Operators and memory.


def operator_of(overload: Any) -> Any:
    """Return the operator (aten.add) of an overload (aten.add.Tensor)."""
    return overload._overloadpacket


class Argument(NamedTuple):
    """One argument of an operator's schema."""

    name: str
    is_written: bool
    is_keyword_only: bool


def arguments_of(overload: Any) -> list[Argument]:
    """Return the arguments of an operator's overload, in the order of its schema."""
    return [
        Argument(one.name, one.alias_info is not None and one.alias_info.is_write, one.kwarg_only)
        for one in overload._schema.arguments
    ]


def storage_id(tensor: Tensor) -> int:
    """Return an id that is equal exactly for tensors that share memory, on the meta device too."""
    return tensor.untyped_storage()._cdata


def version_of(tensor: Tensor) -> int:
    """Return how often the memory of a tensor was changed in place."""
    return tensor._version


def allocations(profile: torch.profiler.profile) -> list[tuple[int, int]]:
    """Return (time in ns, bytes) of every profiled allocation; freed bytes are negative."""
    profiler: Any = profile.profiler
    events = profiler.kineto_results.events()
    return [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
