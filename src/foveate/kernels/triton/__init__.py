"""Kernels for GPUs by Triton: one file per pass, forward and backward."""
