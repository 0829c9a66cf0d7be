"""Kernels for CPUs by numba (the extra `fast`): one file with `plan(shape, weights, numbers)` a mechanism."""
