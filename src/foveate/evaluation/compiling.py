"""Compiled networks side by side, each compiled by itself and from nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._dynamo.config
from torch import nn
from torch._inductor import utils as inductor_utils

__all__ = ["compile_whole", "room_for", "time_first_call"]


@contextmanager
def room_for(networks: int) -> Iterator[None]:
    """Let so many networks of one class stay compiled: beyond its limit torch would run them uncompiled."""
    # torch 2.6 still calls it by its older name.
    name = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"
    limit = max(getattr(torch._dynamo.config, name), 4 * networks)
    with torch._dynamo.config.patch({name: limit}):
        yield


def compile_whole(network: nn.Module, backend: str | Callable[..., Any] = "inductor") -> Callable[..., Any]:
    """Give `network` to torch.compile as one graph: where the graph breaks, the first call raises."""
    return torch.compile(network, fullgraph=True, backend=backend)


def time_first_call(step: Callable[[], object]) -> float:
    """Seconds of the first call of `step`, which compiles: nothing that was kept of earlier ones is used."""
    # Until torch 2.8 it was called fresh_inductor_cache.
    fresh_cache = getattr(inductor_utils, "fresh_cache", None) or inductor_utils.fresh_inductor_cache
    with fresh_cache():
        started = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started
