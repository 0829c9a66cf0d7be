"""Arithmetic that vectorises: what every CPU kernel is written with."""

import functools
import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from filelock import FileLock
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["inlined", "jit", "kept", "maximum", "precise_sigmoid", "sigmoid"]

# Not "fast": that would let the compiler assume that there is no NaN and no infinity.
FLAGS = {"reassoc", "contract", "arcp", "nsz", "afn"}
OPTIONS: dict[str, Any] = {"fastmath": FLAGS, "error_model": "numpy", "nogil": True}


def kept(decorate: Callable[..., Any], function: Any) -> Any:
    """Compile with a cache in a folder of its own for these sources.

    numba looks whether the file of a function has changed, and not whether those that it calls have. One
    process compiles and the others wait for what it made: two compilations of the same sources are not the
    same instructions, and can differ in the last digit of a result.
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
    except (RuntimeError, OSError):  # there is nowhere to keep anything
        return decorate(cache=False)(function)
    finally:
        settings.CACHE_DIR = before


def jit(function: Any) -> Any:
    """Compile for numbers, keeping NaN and infinities."""
    return kept(functools.partial(numba.njit, **OPTIONS), function)


inlined: Any = numba.njit(inline="always", **OPTIONS)

f = np.float32
LIMIT = f(14)


@inlined
def sigmoid(z):
    """σ(z) to 9e-7, strictly between 0 and 1: ½ + z N(z²) / D(z²), both of degree 3.

    Minimax over |z| ≤ 14 (error 4.5e-7); beyond, the value at 14 stands. It costs a third of an exponential,
    which is what a CPU would spend most of DMSCA's time in. NaN stays NaN. In the lower tail nothing of it is
    right but that it is small: what multiplies a map by it alone takes `precise_sigmoid`.
    """
    z = LIMIT if z > LIMIT else z
    z = -LIMIT if z < -LIMIT else z
    u = z * z
    numerator = ((f(1.53516393170726e-08) * u + f(3.55779743438798e-05)) * u + f(7.688865304568694e-03)) * u
    denominator = (
        (f(2.2242344250919646e-06) * u + f(1.317011651545236e-03)) * u + f(0.11408508236857014)
    ) * u
    return f(0.5) + z * ((numerator + f(0.2499989218183661)) / (denominator + f(1)))


@inlined
def precise_sigmoid(z):
    """σ(z) as its definition has it, for what there is little of: in the tails down to 0."""
    return f(1) / (f(1) + math.exp(-z))


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger of two, NaN if either is, as in torch; a comparison would neither vectorise nor do so."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.FloatType()
        function = builder.module.declare_intrinsic(
            "llvm.maximum", [number], ir.FunctionType(number, [number, number])
        )
        return builder.call(function, arguments)

    return types.float32(types.float32, types.float32), generate
