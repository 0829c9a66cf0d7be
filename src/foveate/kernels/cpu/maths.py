"""Arithmetic that vectorises: what every CPU kernel is written with."""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["inlined", "jit", "maximum", "precise_sigmoid", "sigmoid"]

# Not "fast": that would let the compiler assume that there is no NaN and no infinity.
FLAGS = {"reassoc", "contract", "arcp", "nsz", "afn"}
jit: Any = numba.njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
inlined: Any = numba.njit(fastmath=FLAGS, error_model="numpy", nogil=True, inline="always")

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
