"""A line while kernels are compiled: that takes seconds, once for each kind of processor."""

import logging
from contextlib import AbstractContextManager
from typing import Any

from numba.core import event

__all__ = ["announce_compilation"]


class _Notice(event.Listener):
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_said = False

    def on_start(self, event: Any) -> None:
        if not self.is_said:
            logging.getLogger("foveate").warning(
                "compiling the CPU kernels %r for this processor, once: 5 to 20 s on one core",
                self.name,
            )
        self.is_said = True

    def on_end(self, event: Any) -> None:
        """What was compiled is used at once, which is answer enough."""


def announce_compilation(name: str) -> AbstractContextManager[Any]:
    """Print a line when a kernel is compiled within the block; kernels that are in numba's cache are not."""
    return event.install_listener("numba:compile", _Notice(name))
