"""The width of the maps at any module of any network, found by one dry forward."""

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError

__all__ = ["input_channels", "measure_channels"]

SIZES = (224, 32)


class Probe(nn.Module):
    """Stands where attention would, and remembers what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def forward(self, x: Any) -> Any:
        """Give x back."""
        self.seen.append(x)
        return x


def input_channels(model: nn.Module) -> int:
    """Return the channels of the images that `model` takes: those of its first convolution, or else 3."""
    stem = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return stem.in_channels if stem else 3


def measure_channels(model: nn.Module, paths: Collection[str], example_input: Any = None) -> dict[str, int]:
    """Return the channels of the map (B, C, H, W) that each module at `paths` gives.

    A copy of `model` runs once, on the meta device: on `example_input` (a tensor, or a tuple of arguments),
    or else on one image as large as the network says, or 224, or 32 pixels wide.

    Raises RequestError where the network cannot run so, or where a module gives no map, does not run, runs
    more than once, or runs its children in a loop, which attention would join.
    """
    weights = (*model.parameters(), *model.buffers())
    dry = copy.deepcopy(model, {id(tensor): tensor.to("meta") for tensor in weights}).eval()
    probes = {}
    for path in paths:
        owner = dry.get_submodule(path)
        probes[path] = owner.attention = Probe()
        owner.register_forward_hook(lambda module, args, output: module.attention(output))
    _run(dry, example_input)
    return {path: _width(path, probe.seen) for path, probe in probes.items()}


def _run(dry: nn.Module, example_input: Any) -> None:
    if example_input is not None:
        given: Sequence[Any] = example_input if isinstance(example_input, tuple) else (example_input,)
        attempts = [tuple(arg.to("meta") if isinstance(arg, Tensor) else arg for arg in given)]
    else:
        attempts = [(torch.empty(1, *shape, device="meta"),) for shape in _image_shapes(dry)]
    faults = []
    for arguments in attempts:
        try:
            with torch.inference_mode():
                dry(*arguments)
            return
        except Exception as error:  # each network refuses in its own way
            faults.append(f"{' and '.join(str(tuple(a.shape)) for a in arguments)}: {error}")
    raise RequestError(
        f"{type(dry).__name__} could not be run to see how wide its maps are ({'; '.join(faults)}). "
        "Pass example_input=, a batch of what it takes"
    )


def _image_shapes(model: nn.Module) -> list[tuple[int, ...]]:
    said = getattr(model, "pretrained_cfg", None) or {}
    channels = input_channels(model)
    own = [(channels, *said["input_size"][1:])] if said.get("input_size") else []
    return [*own, *((channels, size, size) for size in SIZES)]


def _width(path: str, seen: list[Any]) -> int:
    if not seen:
        raise RequestError(f"{path!r} does not run in a forward pass: choose a module that does")
    if len(seen) > 1:
        raise RequestError(
            f"attention at {path!r} would run {len(seen)} times in a forward pass, because that module runs "
            "so often or runs all its children in a loop: choose one inside of it, or around it"
        )
    x = seen[0]
    if not isinstance(x, Tensor) or x.ndim != 4:
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise RequestError(f"{path!r} gives {given}; attention weighs feature maps, (B, C, H, W)")
    return int(x.shape[1])
