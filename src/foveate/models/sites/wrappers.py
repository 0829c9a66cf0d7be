"""What compiling and parallel training put around a network, and which networks attention cannot go into."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from foveate.errors import RequestError
from foveate.torch_private import compiled_original, is_compiled_in_place

__all__ = ["refuse_parallel", "refuse_wrapped", "unwrap"]

PARALLEL = ("DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule")


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside of what compiling and parallel training put around it."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrap(model.module)
    inner = compiled_original(model)
    return model if inner is None else unwrap(inner)


def refuse_parallel(model: nn.Module) -> None:
    """Raise RequestError for a wrapper that synchronises gradients of the parameters it was built with."""
    for module in model.modules():
        if any(cls.__name__ in PARALLEL for cls in type(module).__mro__):
            raise RequestError(
                f"{type(module).__name__} has taken note of its parameters: change the model that it wraps, "
                "before it is wrapped"
            )


def refuse_wrapped(model: nn.Module) -> None:
    """Raise RequestError for a parallel, scripted, compiled or lazy model: it would not run attention."""
    refuse_parallel(model)
    name = type(model).__name__
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise RequestError(f"{name} is scripted and cannot change: attach to the model it was made from")
        if compiled_original(module) is not None or is_compiled_in_place(module):
            raise RequestError(f"{name} is compiled: attach to the network itself, before it is compiled")
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise RequestError(f"{name} has parameters that have no shape yet: run it once, then attach")
