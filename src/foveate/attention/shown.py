"""What a mechanism makes of a map on its way, its own maps, told by name to whoever asks for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch

__all__ = ["showing", "shown"]

Value = TypeVar("Value")
Listener = Callable[[str, Any], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("foveate_listeners", default=())


def shown(name: str, value: Value) -> Value:
    """Return `value`; while somebody listens, tell them first that it is called `name`.

    For use inside a forward, as in `s = shown("channel", torch.sigmoid(...))`. Whoever compiles or exports
    the forward sees nothing of it.
    """
    if not torch.compiler.is_compiling():
        for listener in _listeners.get():
            listener(name, value)
    return value


@contextmanager
def showing(listener: Listener) -> Iterator[None]:
    """Call `listener(name, value)` for everything shown within, in this thread (or task) alone."""
    before = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(before)
