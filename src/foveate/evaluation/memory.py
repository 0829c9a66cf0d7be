"""Memory: what a network holds, and the peak of what one step of it takes on top."""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

__all__ = ["count_held_bytes", "measure_step_peak"]


def count_held_bytes(
    network: nn.Module, images: Tensor, optimizer: torch.optim.Optimizer | None = None
) -> int:
    """Bytes held between steps: parameters, buffers, the optimizer's state, the images; no gradients."""
    tensors: list[object] = [images, *network.parameters(), *network.buffers()]
    if optimizer is not None:
        tensors += [value for state in optimizer.state.values() for value in state.values()]
    storages = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for tensor in tensors
        if isinstance(tensor, Tensor)
    }
    return sum(storages.values())


def measure_step_peak(step: Callable[[], object], device: torch.device) -> int | None:
    """Peak of the bytes that `step` has allocated at a time, over what was allocated before it.

    It is the allocator's own account, so that it is the same at every call: on a CUDA device of
    torch.cuda, on a CPU of torch's profiler. What libraries take past torch (oneDNN's scratchpads, the
    context of CUDA) is not in it. What `step` frees should not be older than it: a CPU's account does not see
    that. None on a device that keeps no account.
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
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's greetings on standard error
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = profiled.profiler.kineto_results.events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda change: change[0]):
        held += change
        peak = max(peak, held)
    return peak
