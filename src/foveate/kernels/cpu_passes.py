"""The passes in training on a CPU: numba's kernels, the extra `foveate[fast]`, and what they can take."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.kernels import numba_modules
from foveate.kernels.anatomy import MOST_MID_CHANNELS
from foveate.kernels.numba_modules import load_kernels

__all__ = ["MECHANISMS", "find_launcher", "why_not"]

MODULES = {
    "pool": "training_pool",
    "pool_channels": "training_channels",
    "gate": "training_gate",
    "fuse": "training_fuse",
    "convolve_pair": "training_convolve",
}
"""The module of `foveate.kernels.numba` that launches a pass and its gradient."""
MECHANISMS = {
    "dmsca": ("pool", "pool_channels", "fuse", "convolve_pair"),
    "cbam": ("pool", "pool_channels", "gate", "convolve_pair"),
}
"""The mechanisms whose training is faster by these kernels, and the passes that each takes."""


def why_not(x: Tensor, mechanism: str) -> str | None:
    """Return a sentence that says why the kernels cannot take the map x in training, or None."""
    if mechanism not in MECHANISMS:
        return "there are none for this mechanism in training"
    if x.dtype != torch.float32:
        return "the map is not float32"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and its kernels are float32"
    if x.ndim != 4 or x.numel() == 0:
        return "the map is empty, or not (B, C, H, W)"
    if not _is_planes(x):
        return "the map is not contiguous, as its kernels in training expect"
    if not numba_modules.NUMBA:
        return numba_modules.NOT_INSTALLED
    if torch.compiler.is_compiling():
        return None  # they are loaded when the operators first run, which can take the reference instead
    loaded = (load_kernels(MODULES[one]) for one in MECHANISMS[mechanism])
    return next((found for found in loaded if isinstance(found, str)), None)


def find_launcher(name: str, arguments: Sequence[Any], *, backward: bool) -> Callable[..., Any] | None:
    """Return the launcher of the pass `name`, or of its gradient, if it can take these arguments; else None.

    `arguments` are those of the pass itself; other floating dtypes, layouts and choices run by the reference.
    """
    if name not in MODULES:
        return None
    x, *others = arguments
    tensors = [x, *(given for given in others if isinstance(given, Tensor))]
    if any(given.dtype != torch.float32 or not given.is_contiguous() for given in tensors):
        return None
    if x.numel() == 0 or not _is_planes(x):
        return None
    if name == "gate" and [given is None for given in others] != [False, True, True, False]:
        return None
    if name == "fuse" and others[2].shape[1] > MOST_MID_CHANNELS:
        return None
    loaded = load_kernels(MODULES[name])
    if isinstance(loaded, str):
        return None
    return getattr(loaded, f"{name}_backward" if backward else name)


def _is_planes(x: Tensor) -> bool:
    """Return whether x is in torch's contiguous format; maps of one pixel are in channels_last, too."""
    return x.is_contiguous() and x.shape[2:].numel() != 1
