"""Fused passes over feature maps: Triton kernels on GPUs, numba kernels on CPUs, and a reference in torch."""

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
