"""How attention hangs on the module at its site: a child of that module, and a hook that applies it.

The hooks are plain functions, which copy, pickle and compile with the network. What replaces a network's
norms (by synchronised, split, frozen ones) keeps or drops their children and always drops their hooks; so the
module around a norm has a guard, which hangs what is left on again, and says so where nothing is left.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from foveate.errors import RequestError

__all__ = ["CHILD", "hang", "has_attention", "take_down"]

CHILD = "attention"
GUARDED = "attention_guarded"  # attribute of the module around: the paths of sites, by name of its child


def hang(model: nn.Module, path: str, attention: nn.Module) -> None:
    """Apply `attention`, which carries its `placement`, at the module at `path` from now on."""
    owner = model.get_submodule(path)
    owner.add_module(CHILD, attention)
    _hook(owner)
    around, _, name = path.rpartition(".")
    if name and isinstance(owner, _NormBase):
        block = model.get_submodule(around)
        if not hasattr(block, GUARDED):
            block.register_forward_pre_hook(_guard)
        setattr(block, GUARDED, {**getattr(block, GUARDED, {}), name: path})


def take_down(model: nn.Module) -> None:
    """Remove all that `hang` did to `model`."""
    for module in model.modules():
        if has_attention(module):
            delattr(module, CHILD)
        if hasattr(module, GUARDED):
            delattr(module, GUARDED)
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if hook in HOOKS]:
                del hooks[key]


def has_attention(module: nn.Module) -> bool:
    """Whether `hang` put attention on `module`."""
    return hasattr(module._modules.get(CHILD), "placement")


def _attend_to_output(module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return module.attention(output)


def _attend_to_input(module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (module.attention(args[0]), *args[1:])


def _guard(block: nn.Module, args: tuple[Any, ...]) -> None:
    _see_that_all_hangs(block)


HOOKS = (_attend_to_output, _attend_to_input, _guard)


@torch.compiler.assume_constant_result  # whoever compiles or exports looks once
def _see_that_all_hangs(block: Any) -> bool:
    for name, path in getattr(block, GUARDED).items():
        owner = block._modules[name]
        if CHILD not in owner._modules:
            raise RequestError(
                f"the attention at {path!r} is gone: what put in a {type(owner).__name__} left it out. "
                "Freeze or convert the norms first, then attach"
            )
        hooks = (*owner._forward_hooks.values(), *owner._forward_pre_hooks.values())
        if not (_attend_to_output in hooks or _attend_to_input in hooks):
            _hook(owner)
    return True


def _hook(owner: Any) -> None:
    if owner.attention.placement.position == "after":
        owner.register_forward_hook(_attend_to_output)
    else:
        owner.register_forward_pre_hook(_attend_to_input)
