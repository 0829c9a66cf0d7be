"""σ in Triton: three or four instructions on an NVIDIA GPU, where `tl.sigmoid` takes twelve.

The kernels are bound by their arithmetic as soon as each element is read once, and DMSCA has two sigmoids an
element. `arithmetic` tells a kernel which form it may take.
"""

# mypy: disable-error-code="no-untyped-def, import-untyped, import-not-found"

import os

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["arithmetic", "sigmoid"]

PTX = torch.version.hip is None and os.environ.get("TRITON_INTERPRET") != "1"
PORTABLE, SHORT, SHORTEST = 0, 1, 2


def arithmetic(x: Tensor) -> int:
    """Return the form of σ for a map x: 2 for bfloat16, 1 for wider dtypes, 0 where there is no PTX.

    1 has the error of a few roundings of float32. 2 is off by at most 2⁻¹², a sixteenth of a rounding of
    bfloat16; it needs compute capability 7.5.
    """
    if not PTX:
        return PORTABLE
    capability = torch.cuda.get_device_capability(x.device) if x.is_cuda else (8, 0)
    return SHORTEST if x.dtype == torch.bfloat16 and capability >= (7, 5) else SHORT


@triton.jit
def sigmoid(x, ARITHMETIC: tl.constexpr):
    """Return σ(x) of float32; `ARITHMETIC` is what `arithmetic` returned. NaN stays NaN."""
    if ARITHMETIC == 2:
        half = tl.inline_asm_elementwise(
            "tanh.approx.f32 $0, $1;", "=f,f", [0.5 * x], dtype=tl.float32, is_pure=True, pack=1
        )
        return 0.5 + 0.5 * half  # σ(x) = (1 + tanh(x / 2)) / 2
    elif ARITHMETIC == 1:  # noqa: RET505 (Triton compiles the branch that is taken alone)
        of_two = -1.4426950408889634 * x  # e to the power of -x is 2 to this power
        power = tl.inline_asm_elementwise(
            "ex2.approx.ftz.f32 $0, $1;", "=f,f", [of_two], dtype=tl.float32, is_pure=True, pack=1
        )
        return tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [1.0 + power], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        return tl.sigmoid(x)
