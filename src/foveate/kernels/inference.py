"""Inference on a CPU: a mechanism is one call of numba's kernel, and one operator to those who compile.

The operator, `foveate::attend`, takes the map, the module's weights as they are at the moment, and its
numbers. numba is the extra `foveate[fast]`; its kernels are compiled when they are first used, for the
processor at hand, and kept.
"""

import functools
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.library import define, impl, register_fake

from foveate.errors import first_line
from foveate.kernels.anatomy import KERNELS
from foveate.kernels.operators import like
from foveate.kernels.parts import REMEMBERED, Parts, read_parts

__all__ = ["KERNELS", "attend", "find_parts", "remembered_plan"]

NUMBA = find_spec("numba") is not None

define("foveate::attend", "(Tensor x, Tensor[] weights, float[] numbers, str mechanism) -> Tensor")


@impl("foveate::attend", "CPU")
def _attend(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return _plan(mechanism, x.shape[1:], weights, numbers).carry_out(x)


@register_fake("foveate::attend")
def _describe(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return like(x)


@functools.cache
def _planner(mechanism: str) -> Callable[..., Any]:
    return import_module(f"foveate.kernels.numba.{mechanism}").plan


def _plan(mechanism: str, shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Any:
    weights = [weight.contiguous() for weight in weights]
    return _planner(mechanism)(shape, weights, numbers)._replace(weights=weights)


def attend(x: Tensor, parts: Parts, mechanism: str, circumstances: tuple[Any, ...] | None) -> Tensor:
    """Apply a module with those parts to x (B, C, H, W), float32 on a CPU, without gradients.

    Without `circumstances` to remember the plan for, as for who compiles, it is one operator.
    """
    if circumstances is None:
        return torch.ops.foveate.attend(x, parts.weights, parts.numbers, mechanism)
    plan = _plan(mechanism, x.shape[1:], parts.weights, parts.numbers)
    copied = any(weight is not own for weight, own in zip(plan.weights, parts.weights, strict=True))
    parts.last = circumstances, None if copied else plan  # a copy would be of the values as they are now
    return plan.carry_out(x)


def remembered_plan(module: nn.Module, circumstances: tuple[Any, ...], mechanism: str) -> Any:
    """Give the plan by which the module was last carried out if nothing is different now, or None."""
    parts = module.__dict__.get(REMEMBERED)
    if parts is None or parts.last is None:
        return None
    before, plan = parts.last
    if before != circumstances or not parts.hold(module):
        return None
    return plan or _plan(mechanism, circumstances[1:4], parts.weights, parts.numbers)


def find_parts(module: Any, x: Tensor, mechanism: str) -> Parts | str:
    """Find what numba's kernel needs to carry out `module` on x, or say in a sentence why it cannot."""
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
    if not torch.compiler.is_compiling():
        try:
            _planner(mechanism)
        except (ImportError, RuntimeError) as error:  # numba that does not fit numpy, say
            return f"its kernels cannot be loaded here ({first_line(error)})"
    parts = read_parts(module, mechanism)
    # The first weight of each is a 1×1 of the map's channels. A kernel would read beyond a map of fewer.
    if not isinstance(parts, str) and parts.weights and parts.weights[0].shape[1] != x.shape[1]:
        return "the map has not the channels that the module was made for"
    return parts
