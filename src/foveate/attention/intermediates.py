"""Intermediate results of a mechanism, recorded by name for whoever asks for them.

A forward marks what a person may want to see, `s = intermediate("channel", torch.sigmoid(...))`, and
`recording` passes it to a recorder. Without a recorder, and in compiled, exported or scripted programs,
`intermediate` only returns its value.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, overload

import torch
from torch import Tensor

__all__ = ["intermediate", "recording"]

Recorder = Callable[[str, Any], None]

_recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("foveate_recorders", default=())


@overload
def intermediate(name: str, value: Tensor) -> Tensor: ...
@overload
def intermediate(name: str, value: float) -> float: ...
# The value has one type here because TorchScript, which compiles single mechanisms, would return a union.
def intermediate(name: str, value: Tensor) -> Tensor:  # type: ignore[misc]
    """Return `value` after it was passed, under `name`, to every active recorder."""
    if not torch.jit.is_scripting():
        _record(name, value)
    return value


@torch.jit.unused
def _record(name: str, value: Tensor) -> None:
    if not torch.compiler.is_compiling():
        for recorder in _recorders.get():
            recorder(name, value)


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Call `recorder(name, value)` for every intermediate computed in the block, in this thread (or task)."""
    before = _recorders.set((*_recorders.get(), recorder))
    try:
        yield
    finally:
        _recorders.reset(before)
