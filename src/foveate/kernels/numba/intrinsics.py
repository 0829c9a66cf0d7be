"""Three operations that numba cannot express, written as LLVM instructions; all such code is in this file.

* `maximum` is LLVM's maximum of two floats, NaN if either is NaN, as in torch. LLVM makes vector instructions
  of it, and of nothing else that passes NaN on: the sum and maximum of a map (256, 56, 56) take 0.03 ms with
  it, 1.0 ms with comparisons and 3.4 ms with `np.maximum` (one thread of an AMD EPYC, best of 150 rounds).
* `clamp` is two selections without the freedoms of fast arithmetic, with which LLVM makes two comparisons and
  a blend of each; so it makes a minimum and a maximum, which pass NaN on. DMSCA's gates take 14.0 instead of
  15.6 ns for 16 elements (one thread, best tenth of 100 rounds).
* `pointer_to` turns an address into a pointer, so that a kernel can be given the memory of torch's tensors
  without an array object for each of them. There is no other way, so there is no figure.

Last seen with numba 0.68.1 and llvmlite 0.50.0 on x86-64 Linux.

Fallback: the functions are compiled when a kernel's file is imported. Where numba or llvmlite refuse, the
import fails, `foveate.kernels.numba_modules` keeps the reason, and the mechanism runs by its equations.
tests/kernels/test_fallbacks.py breaks llvmlite and holds this.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["maximum", "pointer_to"]


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of two floats, or NaN if either is NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.FloatType()
        function = builder.module.declare_intrinsic(
            "llvm.maximum", [number], ir.FunctionType(number, [number, number])
        )
        return builder.call(function, arguments)

    return types.float32(types.float32, types.float32), generate


@intrinsic
def clamp(typing: Any, value: Any, limit: Any) -> Any:
    """Return value within [-limit, limit], or NaN if it is NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, limit = arguments
        lowest = builder.fneg(limit)
        value = builder.select(builder.fcmp_ordered("<", limit, value), limit, value)
        return builder.select(builder.fcmp_ordered(">", lowest, value), lowest, value)

    return types.float32(types.float32, types.float32), generate


def pointer_to(kind: Any) -> Any:
    """Return a function that makes a pointer to values of a numba type from an address."""

    @intrinsic
    def pointer(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), generate

    return pointer
