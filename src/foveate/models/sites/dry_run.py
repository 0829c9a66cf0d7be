"""The width of the maps at any module of any network, found by one forward pass of a copy."""

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.sites.forward_pass import drop_forward_hooks, example_images, on_meta
from foveate.models.sites.insertion import CHILD
from foveate.torch_private import tree_map_only

__all__ = ["NotRunError", "measure_channels"]


class NotRunError(RequestError):
    """A network could not be run on any of the inputs that were tried."""


class Probe(nn.Module):
    """A stand-in for attention: records what its hook receives, and how often it is run itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.runs = 0

    def forward(self, x: Any) -> Any:
        """Return x, and count the call: it comes from something other than the hook."""
        self.runs += 1
        return x

    def see(self, module: nn.Module, args: Any, output: Any) -> None:
        """Record `output`: the forward hook of the module at the site."""
        self.seen.append(output)


def measure_channels(model: nn.Module, paths: Collection[str], example_input: Any = None) -> dict[str, int]:
    """Return the channels of the map (B, C, H, W) that each module at `paths` gives.

    A copy of `model` runs once, on the meta device or, where it cannot, on its own: on `example_input` (a
    tuple is several arguments, a mapping is named ones), or else on one image of the size that the network
    declares, or of 224 or 32 pixels.

    Raises NotRunError where no attempt runs, and RequestError where a module gives no map, does not run, runs
    more than once, or runs its children in a loop, of which attention would become one.
    """
    faults = []
    for example in [example_input] if example_input is not None else example_images(model):
        for copied in (on_meta, copy.deepcopy):
            try:
                return _measure(model, paths, example, copied)
            except RequestError:
                raise
            except Exception as error:  # each network refuses in its own way
                faults.append(f"{_shape(example)}: {error}")
    raise NotRunError(
        f"{type(model).__name__} could not be run to see how wide its maps are ({'; '.join(faults[-2:])}). "
        "Pass example_input=, a batch of what it takes"
    )


def _measure(
    model: nn.Module, paths: Collection[str], example: Any, copied: Callable[[nn.Module], nn.Module]
) -> dict[str, int]:
    dry = copied(model).eval()
    drop_forward_hooks(dry)
    probes = {path: Probe() for path in paths}
    for path, probe in probes.items():
        owner = dry.get_submodule(path)
        owner.add_module(CHILD, probe)
        owner.register_forward_hook(probe.see)
    like = next(dry.parameters(), torch.empty(0, device="meta" if copied is on_meta else "cpu"))
    example = tree_map_only(Tensor, lambda tensor: tensor.to(like.device), example)
    with torch.inference_mode():
        if isinstance(example, Mapping):
            dry(**example)
        else:
            dry(*(example if isinstance(example, tuple) else (example,)))
    return {path: _width(path, probe) for path, probe in probes.items()}


def _shape(example: Any) -> str:
    return str(tuple(example.shape)) if isinstance(example, Tensor) else type(example).__name__


def _width(path: str, probe: Probe) -> int:
    times = len(probe.seen) + probe.runs
    if times == 0:
        raise RequestError(f"{path!r} does not run in a forward pass: choose a module that does")
    if times > 1 or probe.runs:
        raise RequestError(
            f"attention at {path!r} would run {times} times in a forward pass, because that module runs so "
            "often or runs all its children in a loop: choose one inside of it, or around it"
        )
    x = probe.seen[0]
    if not isinstance(x, Tensor) or x.ndim != 4:
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise RequestError(f"{path!r} gives {given}; attention weighs feature maps, (B, C, H, W)")
    return int(x.shape[1])
