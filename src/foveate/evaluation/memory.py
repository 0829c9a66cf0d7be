"""Memory: the bytes that a network holds, and the peak of what one step allocates in addition."""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from foveate.torch_private import allocations, storage_id

__all__ = ["count_held_bytes", "measure_step_peak"]


def count_held_bytes(
    network: nn.Module, images: Tensor, optimizer: torch.optim.Optimizer | None = None
) -> int:
    """Return the bytes held between steps: parameters, buffers, optimizer state, images; no gradients."""
    tensors: list[object] = [images, *network.parameters(), *network.buffers()]
    if optimizer is not None:
        tensors += [value for state in optimizer.state.values() for value in state.values()]
    storages = {
        storage_id(tensor): tensor.untyped_storage().nbytes()
        for tensor in tensors
        if isinstance(tensor, Tensor)
    }
    return sum(storages.values())


def measure_step_peak(step: Callable[[], object], device: torch.device) -> int | None:
    """Return the peak of the bytes that `step` allocates, above what was allocated before it.

    The figure comes from the allocator, so it is the same at every call: from torch.cuda on a CUDA device,
    from torch's profiler on a CPU. Memory that libraries allocate without torch (oneDNN's scratchpads, CUDA's
    context) is not included. `step` should not free what was allocated before it: the profiler does not see
    that. The result is None on a device without such statistics.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    return _cpu_peak(step) if device.type == "cpu" else None


def _cpu_peak(step: Callable[[], object]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no start-up messages of the profiler on standard error
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    held = peak = 0
    for _, change in sorted(allocations(profiled), key=lambda change: change[0]):
        held += change
        peak = max(peak, held)
    return peak
