"""The modules of numba's kernels, the extra `foveate[fast]`: imported, and so compiled, when first used."""

import functools
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from foveate.errors import first_line

__all__ = ["NOT_INSTALLED", "NUMBA", "load_kernels"]

NUMBA = find_spec("numba") is not None
NOT_INSTALLED = "it is not installed (pip install 'foveate[fast]')"


def load_kernels(name: str) -> Any:
    """Return the module `name` of `foveate.kernels.numba`, or in a sentence why that is impossible.

    Whatever goes wrong, the equations can run. A failure is kept: another attempt would cost seconds at every
    call.
    """
    return _imported(name) if NUMBA else NOT_INSTALLED


@functools.cache
def _imported(name: str) -> Any:
    try:
        notice = import_module("foveate.kernels.numba.notice")
        with notice.announce_compilation(name):
            return import_module(f"foveate.kernels.numba.{name}")
    except Exception as error:  # of many classes, where numba does not fit numpy, llvmlite or the processor
        return f"its kernels cannot be loaded here ({first_line(error)})"
