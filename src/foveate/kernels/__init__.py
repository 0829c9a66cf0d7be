"""The passes over a feature map, fused: Triton on a GPU, numba on a CPU, plain torch for all to equal."""

from foveate.kernels.dispatch import (
    PATHS,
    Choice,
    choose_path,
    fast_paths,
    has_path,
    only_reference,
    recorded_choices,
)

__all__ = [
    "PATHS",
    "Choice",
    "choose_path",
    "fast_paths",
    "has_path",
    "only_reference",
    "recorded_choices",
]
