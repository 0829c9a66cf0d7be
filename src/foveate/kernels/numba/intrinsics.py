"""Three operations that numba cannot express, written as LLVM instructions; all such code is in this file.

* `sum_onto` adds 16 floats of a row to a line and sums them, as one masked vector. LLVM makes no vectors of
  loops as short as the rows of a feature map (7 to 56). {GAIN}
* `maximum` is LLVM's maximum of two floats, NaN if either is, as in torch. A comparison does neither pass
  NaN on nor become a vector instruction.
* `pointer_to` turns an address into a pointer, so that a kernel can be given the memory of torch's tensors.

Last seen with numba 0.68.1 and llvmlite 0.48 on x86-64 Linux.

Fallback: the functions are compiled when a kernel's file is imported. Where numba or llvmlite refuse, the
import fails, `kernels.inference` keeps the reason, and the mechanism runs by its equations in torch;
`foveate.kernel_paths` says so. tests/kernels/test_fallbacks.py breaks llvmlite and holds this.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LANES", "maximum", "pointer_to", "sum_onto"]

LANES = 16
"""Floats that `sum_onto` reads at a time."""


@intrinsic
def sum_onto(typing: Any, row: Any, line: Any, count: Any) -> Any:
    """Add the `count` ≤ LANES floats at `row` to those at `line`, and return their sum.

    LANES floats are read at both addresses.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, index, one = (
            ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(64), ir.IntType(32))
        )
        count = builder.insert_element(ir.Constant(index, ir.Undefined), arguments[2], ir.IntType(32)(0))
        counts = builder.shuffle_vector(count, count, ir.Constant(one, [0] * LANES))
        mask = builder.icmp_signed("<", ir.Constant(index, list(range(LANES))), counts)
        row, line = (builder.inttoptr(address, vector.as_pointer()) for address in arguments[:2])
        values = builder.select(mask, builder.load(row, align=4), ir.Constant(vector, [0.0] * LANES))
        builder.store(builder.fadd(builder.load(line, align=4), values), line, align=4)
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), vector])
        add = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(add, [ir.FloatType()(0.0), values], fastmath=("reassoc",))

    return types.float32(types.int64, types.int64, types.int64), generate


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


def pointer_to(kind: Any) -> Any:
    """Return a function that makes a pointer to values of a numba type from an address."""

    @intrinsic
    def pointer(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), generate

    return pointer
