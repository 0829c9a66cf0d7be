"""Intermediate results of a mechanism, recorded or replaced by name for whoever asks for them.

A forward marks what a person may want to see, `s = intermediate("channel", torch.sigmoid(...))`, and
`recording` passes it to a recorder; `replacing` puts another value in its place. Without these, and in
compiled, exported or scripted programs, `intermediate` only returns its value.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, overload

import torch
from torch import Tensor

__all__ = ["intermediate", "recording", "replacing"]

Recorder = Callable[[str, Any], None]
Replacer = Callable[[str, Any], Any]

_recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("foveate_recorders", default=())
_replacers: ContextVar[tuple[Replacer, ...]] = ContextVar("foveate_replacers", default=())


@overload
def intermediate(name: str, value: Tensor) -> Tensor: ...
@overload
def intermediate(name: str, value: float) -> float: ...
# The value has one type here because TorchScript, which compiles single mechanisms, would return a union.
def intermediate(name: str, value: Tensor) -> Tensor:  # type: ignore[misc]
    """Return `value`, or what replaces it, after it was passed under `name` to every active recorder."""
    if not torch.jit.is_scripting():
        value = _pass_on(name, value)
    return value


@torch.jit.unused
def _pass_on(name: str, value: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        for replacer in _replacers.get():
            value = replacer(name, value)
        for recorder in _recorders.get():
            recorder(name, value)
    return value


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Call `recorder(name, value)` for every intermediate computed in the block, in this thread (or task)."""
    before = _recorders.set((*_recorders.get(), recorder))
    try:
        yield
    finally:
        _recorders.reset(before)


@contextmanager
def replacing(replacer: Replacer) -> Iterator[None]:
    """Use `replacer(name, value)` in place of every intermediate in the block, in this thread (or task)."""
    before = _replacers.set((*_replacers.get(), replacer))
    try:
        yield
    finally:
        _replacers.reset(before)
