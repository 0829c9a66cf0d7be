"""What measurements on GPUs say of the Triton kernels: where they ran, and where they are the slower choice.

Both tables are written by hand from the records of benchmarks/on_gpu.py, whose last lines name the rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MEASURED", "SLOWER", "Slower", "find_slower", "standing"]

MEASURED: dict[str, tuple[str, ...]] = {}
"""The mechanisms whose Triton kernels were measured, and the GPUs: parts of the names that torch gives."""


class Slower(NamedTuple):
    """A range of maps in which a mechanism's kernels took longer than what `auto` takes instead.

    Attributes:
        mechanism: its name, as in MEASURED.
        device: a part of the GPU's name.
        training: whether the module trains; None is both.
        compiled: whether the network is compiled by torch.compile, equations and all; None is both.
        elements: fewest and most elements of the map (B, C, H, W), both inside of the range.
        ratio: the kernels' time over the other's.
        source: the record that says so.
    """

    mechanism: str
    device: str
    training: bool | None
    compiled: bool | None
    elements: tuple[int, int]
    ratio: float
    source: str

    def __str__(self) -> str:
        low, high = self.elements
        return (
            f"it was measured to take {self.ratio:.2f} × the time of what runs instead on {self.device}, "
            f"for maps of {low:,} to {high:,} elements ({self.source})"
        )


SLOWER: Sequence[Slower] = ()


def standing(mechanism: str, device: torch.device) -> str:
    """Say what is known of the speed of a mechanism's kernels on a GPU, in a few words."""
    measured = MEASURED.get(mechanism, ())
    if not measured:
        return "not measured on a GPU yet"
    here = [name for name in measured if name in _device_name(device)]
    return f"measured on {here[0]}" if here else f"measured on {', '.join(measured)}, not on this GPU"


def find_slower(mechanism: str, x: Tensor, training: bool) -> Slower | None:
    """Return the measured range, if any, in which the kernels are the slower choice for the map x."""
    for known in SLOWER:
        if (
            known.mechanism == mechanism
            and known.training in (None, training)
            and known.compiled in (None, torch.compiler.is_compiling())
            and known.elements[0] <= x.numel() <= known.elements[1]
            and known.device in _device_name(x.device)
        ):
            return known
    return None


@torch.compiler.assume_constant_result
def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
