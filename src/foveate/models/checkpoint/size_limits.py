"""Limits on what the description in a file may build: about as much as the file has tensors for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules import module as registration

from foveate.errors import RequestError

__all__ = ["TooLargeError", "built_within"]

TIMES = 8
"""A network may be built of so many times what its file holds: heads and attention are built and replaced."""
FREE_MODULES = 2_000
FREE_NUMBERS = 50_000_000
"""In parameters and buffers; computed buffers, such as tables of positions, are in no file."""


class TooLargeError(RequestError):
    """A description asks for far more than its file holds."""


@contextmanager
def built_within(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Raise TooLargeError as soon as this thread builds modules far beyond what `tensors` could fill.

    A parameter is counted when it is registered: its memory is then reserved and not yet written to.
    """
    numbers = TIMES * sum(tensor.numel() for tensor in tensors.values()) + FREE_NUMBERS
    modules = TIMES * len(tensors) + FREE_MODULES
    own, counted = threading.get_ident(), {"modules": 0, "numbers": 0}

    def count(what: str, number: int, most: int) -> None:
        if threading.get_ident() != own:
            return
        counted[what] += number
        if counted[what] > most:
            raise TooLargeError(
                f"it describes a network with more than {most:,} {what}, and holds {len(tensors):,} tensors: "
                "foveate.save did not write it so"
            )

    def count_module(module: nn.Module, name: str, child: nn.Module | None) -> None:
        count("modules", 1, modules)

    def count_numbers(module: nn.Module, name: str, value: Tensor | None) -> None:
        count("numbers", 0 if value is None else value.numel(), numbers)

    hooks = (
        registration.register_module_module_registration_hook(count_module),
        registration.register_module_parameter_registration_hook(count_numbers),
        registration.register_module_buffer_registration_hook(count_numbers),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
