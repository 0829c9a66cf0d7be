"""The Triton kernels compiled for a GPU that need not be there: launches compile, and nothing runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}


@contextmanager
def compiled(capability: int) -> Iterator[list[str]]:
    """Compile each kernel that is launched to machine code, specialised by its arguments; give the names."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as compile_kernel
    from triton.runtime.jit import JITFunction

    names: list[str] = []

    def run(self: Any, *args: Any, grid: Any, warmup: bool = False, num_warps: int = 4) -> None:
        signature, constants, attributes = {}, {}, {}
        for i, (parameter, given) in enumerate(zip(self.params, args, strict=True)):
            if parameter.is_constexpr or (isinstance(given, int) and given == 1):
                signature[parameter.name], constants[parameter.name] = "constexpr", given
            elif isinstance(given, torch.Tensor):
                signature[parameter.name] = POINTERS[given.dtype]
            else:
                signature[parameter.name] = "fp32" if isinstance(given, float) else "i32"
            if signature[parameter.name][0] in "*i" and (isinstance(given, torch.Tensor) or given % 16 == 0):
                attributes[(i,)] = [["tt.divisibility", 16]]
        source = ASTSource(self, signature, constants, attributes)
        made = compile_kernel(source, GPUTarget("cuda", capability, 32), {"num_warps": num_warps})
        assert made.asm["cubin"]
        names.append(self.__name__)

    with mock.patch.object(JITFunction, "run", run):
        yield names
