"""Kernels for CPUs, by numba (the extra `fast`): a file of `run(x, weights, numbers)` a mechanism."""
