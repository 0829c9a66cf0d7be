"""Kernels for GPUs, by Triton: a file a pass, forward and backward."""
