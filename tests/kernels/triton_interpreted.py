"""The Triton kernels in Triton's interpreter, on the CPU, whoever imported Triton before and however."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from unittest import mock

from foveate.kernels import triton as gpu

MODULES = (
    "map", "places", "sigmoid", "pool", "channels", "gate", "simam", "fuse_pixels", "fuse", "fuse_backward",
    "small_maps", "dmsca",
)  # fmt: skip


def dropped() -> dict[str, object]:
    """Take the Triton kernels' modules out, as if they had not been imported."""
    names = [f"foveate.kernels.triton.{name}" for name in MODULES]
    for name in names:
        vars(gpu).pop(name.rpartition(".")[2], None)
    return {name: sys.modules.pop(name) for name in names if name in sys.modules}


@contextmanager
def unchanged(*owners: object) -> Iterator[None]:
    """Leave the attributes of modules and classes as they were; the interpreter forgets some of them."""
    before = [dict(vars(owner)) for owner in owners]
    try:
        yield
    finally:
        for owner, own in zip(owners, before, strict=True):
            for name, value in own.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)


@contextmanager
def interpreted() -> Iterator[SimpleNamespace]:
    """Import the launchers so that their kernels are interpreted, and leave all as it was.

    What decides is TRITON_INTERPRET when `triton.jit` is applied: to our kernels, which are imported anew,
    and to Triton's own functions (tl.sum …), which torchvision may have imported long before and are wrapped.
    """
    import triton.language as tl

    before = dropped()
    with mock.patch.dict(os.environ, TRITON_INTERPRET="1"):
        from triton.runtime.interpreter import InterpretedFunction
        from triton.runtime.jit import JITFunction

        compiled = {name: part for name, part in vars(tl).items() if isinstance(part, JITFunction)}
        interpreters = {name: InterpretedFunction(part.fn) for name, part in compiled.items()}
        owners = [tl, tl.core, tl.math, tl.core.tensor]
        owners += filter(None, [getattr(tl.core, "tensor_descriptor_base", None)])  # of Triton 3.4 and later
        with unchanged(*owners), mock.patch.multiple(tl, **interpreters):
            modules = {name: import_module(f"foveate.kernels.triton.{name}") for name in MODULES}
            passes = {
                "pool": "pool",
                "pool_channels": "channels",
                "gate": "gate",
                "simam": "simam",
                "fuse": "fuse",
            }
            launchers = {name: getattr(modules[of], name) for name, of in passes.items()}
            passes["fuse"] = "fuse_backward"
            launchers |= {
                f"{name}_backward": getattr(modules[of], f"{name}_backward") for name, of in passes.items()
            }
            try:
                yield SimpleNamespace(maps=modules["map"], dmsca=modules["dmsca"], **launchers)
            finally:
                dropped()
                for name, module in before.items():
                    sys.modules[name] = module
                    setattr(gpu, name.rpartition(".")[2], module)
