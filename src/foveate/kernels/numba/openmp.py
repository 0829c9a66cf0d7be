"""The threads of the CPU kernels: those of the OpenMP runtime that torch has loaded, called through ctypes.

What it does: it finds the runtime in the running process, and calls the entry points that compilers call for
`#pragma omp parallel` (GNU's names; LLVM's and Intel's runtimes have them too on Linux). So a kernel runs in
torch's own threads, as many as `torch.get_num_threads()`.

Why: after each operation torch's threads wait actively for the next one, so a second pool of threads, such as
that of numba's `prange`, gets no core meanwhile. Two threads instead of the fallback's one take a map
(1, 256, 56, 56) in 0.77 ms instead of 1.12 in DMSCA, 0.20 instead of 0.22 in coordinate attention and 0.19
instead of 0.27 in SimAM (AMD EPYC, 2 cores, best of 200 rounds).

Last seen with torch 2.15.0 on Linux, whose wheel contains libgomp.

Fallback: where there is no such runtime (macOS, Windows, a torch without OpenMP), SINGLE_THREAD is true and
each kernel runs in the calling thread, with the same results. tests/kernels/test_fallbacks.py takes the
runtime away and holds this.
"""

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["BARRIER", "RANK", "SINGLE_THREAD", "TEAM", "declare_entry_points", "run_in_team"]

BARRIER, RANK, TEAM = "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads"


@functools.cache
def _runtime() -> ctypes.CDLL | None:
    """Return the OpenMP runtime that this process loaded with torch; None where it is of another kind."""
    if not torch.backends.openmp.is_available() or not hasattr(os, "RTLD_NOLOAD"):
        return None
    beside = Path(torch.__file__).parent / "lib"
    found = [str(file) for kind in ("libgomp*", "libiomp5*", "libomp*") for file in sorted(beside.glob(kind))]
    for name in (*found, "libgomp.so.1", "libiomp5.so", "libomp.so"):
        try:
            library = ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
        if all(hasattr(library, entry) for entry in ("GOMP_parallel", BARRIER, RANK, TEAM)):
            return library
    return None


SINGLE_THREAD = _runtime() is None
"""Whether kernels run in the calling thread alone, however many threads torch has."""


@ctypes.CFUNCTYPE(None)
def _no_barrier() -> None:
    """Return at once: a single thread waits for no other."""


@ctypes.CFUNCTYPE(ctypes.c_int)
def _first_rank() -> int:
    return 0


@ctypes.CFUNCTYPE(ctypes.c_int)
def _one_thread() -> int:
    return 1


def declare_entry_points() -> None:
    """Tell numba's linker the addresses of the functions that the kernels call by name."""
    import llvmlite.binding as llvm

    library = _runtime()
    for name, alone in ((BARRIER, _no_barrier), (RANK, _first_rank), (TEAM, _one_thread)):
        entry = getattr(library, name) if library else alone
        llvm.add_symbol(name, ctypes.cast(entry, ctypes.c_void_p).value)


def _parallel() -> Callable[[int, bytes, int, int], None]:
    library = _runtime()
    if library is None:
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        return lambda worker, task, team, flags: call(worker)(task)
    parallel = library.GOMP_parallel
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel


run_in_team = _parallel()
"""run_in_team(worker, task, team, 0) calls the function at the address `worker` with the bytes of a task,
which it only reads, in `team` threads or as many as the runtime starts."""
