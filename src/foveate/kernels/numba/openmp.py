"""The threads of the CPU kernels: torch's own.

Two pools of threads on the same cores wait for one another: after each of torch's operations its threads spin
for a while, and a second pool's get no core. So the kernels run in the OpenMP runtime that torch has loaded,
through the entry points that compilers call (GNU's, which LLVM's and Intel's runtimes have too on Linux).
"""

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["BARRIER", "RANK", "TEAM", "declare_entry_points", "run_in_team", "why_alone"]

BARRIER, RANK, TEAM = "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads"


@functools.cache
def _runtime() -> ctypes.CDLL | None:
    """The OpenMP runtime that this process has loaded with torch; None where there is none of that kind."""
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


def why_alone() -> str | None:
    """Say why the kernels have one thread whatever torch has, or None where they have torch's."""
    return None if _runtime() else "torch's OpenMP runtime has no GNU entry points here"


@ctypes.CFUNCTYPE(None)
def _nothing() -> None:
    """A team of one waits for nobody."""


@ctypes.CFUNCTYPE(ctypes.c_int)
def _first() -> int:
    return 0


@ctypes.CFUNCTYPE(ctypes.c_int)
def _one() -> int:
    return 1


def declare_entry_points() -> None:
    """Tell numba's linker what the kernels call by name."""
    import llvmlite.binding as llvm

    library = _runtime()
    for name, alone in ((BARRIER, _nothing), (RANK, _first), (TEAM, _one)):
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
"""run_in_team(worker, task, team, 0) calls the function at an address on the bytes of a task, which it only
reads, in `team` threads or as many as there are."""
