"""What a mechanism makes of a map on its way, its own maps, told by name to whoever asks for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, overload

import torch
from torch import Tensor

__all__ = ["showing", "shown"]

Listener = Callable[[str, Any], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("foveate_listeners", default=())


@overload
def shown(name: str, value: Tensor) -> Tensor: ...
@overload
def shown(name: str, value: float) -> float: ...
# Of one type, because TorchScript, which takes mechanisms by themselves, would hand on a union.
def shown(name: str, value: Tensor) -> Tensor:  # type: ignore[misc]
    """Return `value`; while somebody listens, tell them first that it is called `name`.

    For use inside a forward, as in `s = shown("channel", torch.sigmoid(...))`. Whoever compiles, exports or
    scripts the forward sees nothing of it.
    """
    if not torch.jit.is_scripting():
        _tell(name, value)
    return value


@torch.jit.unused
def _tell(name: str, value: Tensor) -> None:
    if not torch.compiler.is_compiling():
        for listener in _listeners.get():
            listener(name, value)


@contextmanager
def showing(listener: Listener) -> Iterator[None]:
    """Call `listener(name, value)` for everything shown within, in this thread (or task) alone."""
    before = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(before)
