"""Compiled networks side by side, each compiled by itself and without results of earlier compilations."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from foveate.torch_private import fresh_compile_cache, recompile_limit

__all__ = ["compile_whole", "room_for", "time_first_call"]


def room_for(networks: int) -> AbstractContextManager[None]:
    """Raise torch's limit so that this many networks of one class can stay compiled within the block."""
    return recompile_limit(4 * networks)


def compile_whole(network: nn.Module, backend: str | Callable[..., Any] = "inductor") -> Callable[..., Any]:
    """Compile `network` as one graph; where the graph breaks, the first call raises."""
    return torch.compile(network, fullgraph=True, backend=backend)


def time_first_call(step: Callable[[], object]) -> float:
    """Return the seconds of the first call of `step`, which compiles it without any cached result."""
    with fresh_compile_cache():
        started = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started
