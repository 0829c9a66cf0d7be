"""Inference on a CPU: a mechanism is one operator, `foveate::attend`, carried out by numba.

The operator takes the map, the module's weights as they are at the moment, and its numbers. numba is the
extra `foveate[fast]`; its kernels are compiled when they are first used, for the processor at hand, and kept.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import define, impl, register_fake

__all__ = ["KERNELS", "Parts", "attend", "read_parts"]

NUMBA = find_spec("numba") is not None

define("foveate::attend", "(Tensor x, Tensor[] weights, float[] numbers, str mechanism) -> Tensor")


@impl("foveate::attend", "CPU")
def _carry_out(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    last = torch.channels_last
    x = x if x.is_contiguous() or x.is_contiguous(memory_format=last) else x.contiguous()
    weights = [weight if weight.is_contiguous() else weight.contiguous() for weight in weights]
    return import_module(f"foveate.kernels.cpu.{mechanism}").run(x, weights, numbers)


@register_fake("foveate::attend")
def _describe(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return torch.empty_like(x)


class Parts(NamedTuple):
    """What a kernel takes of a module: its weights, and its numbers, such as the eps of norms."""

    weights: list[Tensor]
    numbers: list[float]


def attend(x: Tensor, parts: Parts, mechanism: str) -> Tensor:
    """Apply a module of which `parts` were read to x (B, C, H, W), float32 on a CPU, without gradients."""
    return torch.ops.foveate.attend(x, parts.weights, parts.numbers, mechanism)


def read_parts(module: Any, x: Tensor, mechanism: str) -> Parts | str:
    """Read what numba's kernel needs to carry out `module` on x, or say in a sentence why it cannot."""
    if x.device.type != "cpu":
        return "its kernels run on a CPU"
    if torch.is_grad_enabled():
        return "gradients are on, and its kernels are for inference (torch.inference_mode)"
    if module.training:
        return "the module is in training mode, and its kernels are for inference (model.eval())"
    if x.dtype != torch.float32:
        return "the map is not float32"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and its kernels are float32"
    if not NUMBA:
        return "it is not installed (pip install 'foveate[fast]')"
    if x.ndim != 4 or x.numel() == 0:
        return "the map is empty, or not (B, C, H, W)"
    parts = Parts([], KERNELS[mechanism](module))
    reason = _collect(module, type(module).__module__, parts)
    # The first weight of each is a 1×1 of the map's channels. A kernel would read beyond a map of fewer.
    if reason is None and parts.weights and parts.weights[0].shape[1] != x.shape[1]:
        return "the map has not the channels that the module was made for"
    return reason or parts


def _collect(module: Any, home: str, parts: Parts) -> str | None:
    """Append all weights, depth first as in the state dict, and the eps of norms; say what is in the way."""
    for value in module._parameters.values():
        if value is not None:
            if value.dtype is not torch.float32:
                return "a weight is not float32"
            parts.weights.append(value)
    for name, value in module._buffers.items():
        if name != "num_batches_tracked":
            parts.weights.append(value)
    if "running_var" in module._buffers:
        parts.numbers.append(module.eps)
    for part in module._modules.values():
        if part._forward_hooks or part._forward_pre_hooks:
            return "a part of the module has a hook, which a kernel would pass by"
        if type(part).__module__ not in OWN and type(part).__module__ != home:
            return "a part of the module was replaced"
        reason = _collect(part, home, parts)
        if reason is not None:
            return reason
    return None


OWN = {
    "torch.nn.modules.conv",
    "torch.nn.modules.container",
    "torch.nn.modules.activation",
    "foveate.attention.norm",
    "foveate.attention.spatial",
}


KERNELS: dict[str, Callable[[Any], list[float]]] = {
    "ca": lambda module: [],
    "cbam": lambda module: [],
    "dmsca": lambda module: [module.tca.temperature or 0.0],
    "se": lambda module: [],
    "simam": lambda module: [module.e_lambda],
}
"""Mechanisms with a kernel (`run` in `cpu/NAME.py`): their numbers beside the eps of norms."""
