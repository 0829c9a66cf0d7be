"""What was measured of the kernels: on which GPUs Triton's ran, and for which maps kernels are slower.

Both tables are written by hand: rows of GPUs from the records of benchmarks/on_gpu.py, whose last lines name
them, and rows of CPUs from benchmarks/compiled_blocks.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MEASURED", "SLOWER", "Slower", "find_slower", "standing"]

MEASURED: dict[str, tuple[str, ...]] = {}
"""The mechanisms whose Triton kernels were measured, each with the GPUs: parts of torch's names of them."""


class Slower(NamedTuple):
    """A range of maps in which a mechanism's kernels took longer than what `auto` takes instead.

    Attributes:
        mechanism: its name, as in MEASURED.
        device: a part of the GPU's name, or "cpu".
        training: whether the module is in training mode; None stands for both.
        compiled: whether torch.compile compiled the network, its equations included; None stands for both.
        elements: fewest and most elements of the map (B, C, H, W), both included; None stands for all maps.
        ratio: the kernels' time divided by that of what runs instead.
        source: the record with the measurement.
    """

    mechanism: str
    device: str
    training: bool | None
    compiled: bool | None
    elements: tuple[int, int] | None
    ratio: float
    source: str

    def __str__(self) -> str:
        maps = "for all maps"
        if self.elements is not None:
            maps = "for maps of {:,} to {:,} elements".format(*self.elements)
        compiled = " in compiled networks" * bool(self.compiled)
        took = f"it was measured to take {self.ratio:.2f} × the time of what runs instead"
        return f"{took} on {self.device}{compiled}, {maps} ({self.source})"


SLOWER: Sequence[Slower] = (
    Slower("cbam", "cpu", True, True, None, 1.11, "benchmarks/compiled_blocks.py, 2026-11-29"),
    Slower("simam", "cpu", None, True, None, 1.32, "benchmarks/compiled_blocks.py, 2026-11-29"),
)


def standing(mechanism: str, device: torch.device) -> str:
    """Return in a few words what is known of the speed of a mechanism's kernels on a GPU."""
    measured = MEASURED.get(mechanism, ())
    if not measured:
        return "not measured on a GPU yet"
    here = [name for name in measured if name in _device_name(device)]
    return f"measured on {here[0]}" if here else f"measured on {', '.join(measured)}, not on this GPU"


def find_slower(mechanism: str, x: Tensor, training: bool) -> Slower | None:
    """Return the measured range in which the kernels are slower for the map x, or None."""
    for known in SLOWER:
        if (
            known.mechanism == mechanism
            and known.training in (None, training)
            and known.compiled in (None, torch.compiler.is_compiling())
            and (known.elements is None or known.elements[0] <= x.numel() <= known.elements[1])
            and known.device in _device_name(x.device)
        ):
            return known
    return None


@torch.compiler.assume_constant_result
def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
