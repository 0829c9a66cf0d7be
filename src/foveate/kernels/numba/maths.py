"""How every CPU kernel is compiled, and arithmetic that the compiler can vectorise."""

import functools
import hashlib
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from filelock import FileLock

from foveate.kernels.numba.intrinsics import clamp

__all__ = ["compiled_on_disk", "copy", "inlined", "jit", "precise_sigmoid", "sigmoid"]

# Not "fast", with which the compiler assumes that there is neither NaN nor infinity.
FLAGS = {"reassoc", "contract", "arcp", "nsz", "afn"}
OPTIONS: dict[str, Any] = {"fastmath": FLAGS, "error_model": "numpy", "nogil": True}


def compiled_on_disk(decorate: Callable[..., Any], function: Any) -> Any:
    """Compile a function, with numba's cache on disk in a folder for this version of the sources.

    numba notices a change in the file of a function, but not in the files of the functions that it calls.
    One process compiles and the others wait for its result: two compilations of the same sources need not
    give the same instructions, and can differ in the last digit of a result.
    """
    settings: Any = numba.config
    sources = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    home = settings.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    before = settings.CACHE_DIR
    folder = Path(home) / "foveate" / hashlib.sha256(sources).hexdigest()[:16]
    settings.CACHE_DIR = str(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return decorate(cache=True)(function)
    except (RuntimeError, OSError):  # no folder can be written to
        _announce_no_cache(str(folder))
        return decorate(cache=False)(function)
    finally:
        settings.CACHE_DIR = before


@functools.cache
def _announce_no_cache(folder: str) -> None:
    logging.getLogger("foveate").warning(
        "compiled CPU kernels cannot be kept in %s: each program compiles them anew, until NUMBA_CACHE_DIR "
        "names a folder that can be written to",
        folder,
    )


def jit(function: Any) -> Any:
    """Compile a function of numbers and arrays that must respect NaN and infinities.

    Only compiled functions can call it: an entry for Python would take a quarter of the time to compile.
    """
    no_entry = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return compiled_on_disk(functools.partial(numba.njit, **OPTIONS, **no_entry), function)


inlined: Any = numba.njit(inline="always", **OPTIONS)


@jit
def copy(source, target):
    """Write target = source, which are of one length. Assigning a slice takes seconds longer to compile."""
    for i in range(len(target)):
        target[i] = source[i]


f = np.float32
LIMIT = f(14)


@inlined
def sigmoid(z):
    """Return σ(z) to within 9e-7, strictly between 0 and 1: ½ + z N(z²) / D(z²), both of degree 3.

    It is the minimax approximation over |z| ≤ 14 (error 4.5e-7); beyond, the value at 14 is used. It costs a
    third of an exponential, which would take most of DMSCA's time on a CPU. NaN stays NaN. In the lower tail
    the relative error is large, so a factor that multiplies a map by itself takes `precise_sigmoid`.
    """
    z = clamp(z, LIMIT)
    u = z * z
    numerator = ((f(1.53516393170726e-08) * u + f(3.55779743438798e-05)) * u + f(7.688865304568694e-03)) * u
    denominator = (
        (f(2.2242344250919646e-06) * u + f(1.317011651545236e-03)) * u + f(0.11408508236857014)
    ) * u
    return f(0.5) + z * ((numerator + f(0.2499989218183661)) / (denominator + f(1)))


@inlined
def precise_sigmoid(z):
    """Return σ(z) by its definition, down to 0 in the tail, for the few values where that matters."""
    return f(1) / (f(1) + math.exp(-z))
