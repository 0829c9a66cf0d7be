"""Inference: a mechanism is one call, and one operator in compiled programs.

The operator `foveate::attend` takes the map, the module's weights as they are at the call, and its numbers.
On a CPU it is a kernel of numba, the extra `foveate[fast]`: compiled for the processor when it is first used,
and kept on disk. On a GPU it is a sequence of Triton kernels, for the mechanisms in ON_GPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.library import define, impl, register_fake

from foveate.kernels import numba_modules
from foveate.kernels.anatomy import KERNELS, ON_GPU
from foveate.kernels.operators import like, run_triton
from foveate.kernels.parts import CACHED_PARTS, Parts, read_parts

__all__ = ["KERNELS", "attend", "cached_plan", "find_gpu_parts", "find_parts"]

define(
    "foveate::attend",
    "(Tensor x, Tensor[] weights, float[] numbers, str mechanism) -> Tensor",
    # The kernels take x in either layout: a compiled network need not copy it into that of the eager one.
    tags=(torch.Tag.pt2_compliant_tag, torch.Tag.flexible_layout),
)


@impl("foveate::attend", "CPU")
def _attend(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return _plan(mechanism, x.shape[1:], weights, numbers).carry_out(x)


@impl("foveate::attend", "CUDA")
def _attend_on_gpu(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return run_triton(mechanism, "attend", x, weights, numbers)


@register_fake("foveate::attend")
def _describe(x: Tensor, weights: list[Tensor], numbers: list[float], mechanism: str) -> Tensor:
    return like(x)


def _plan(mechanism: str, shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Any:
    kernels = numba_modules.load_kernels(mechanism)
    if isinstance(kernels, str):
        raise RuntimeError(f"{mechanism}: {kernels}")
    weights = [weight if _is_dense(weight) else weight.contiguous() for weight in weights]
    return kernels.plan(shape, weights, numbers)._replace(weights=weights)


def _is_dense(weight: Tensor) -> bool:
    """Return whether a kernel can read a weight where it is: contiguous, or kernels in channels_last."""
    return weight.is_contiguous() or (
        weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    )


def attend(x: Tensor, parts: Parts, mechanism: str, key: tuple[Any, ...] | None) -> Tensor:
    """Apply a module with those parts to x (B, C, H, W), without gradients.

    On a CPU the plan is cached under `key`. Without a key, as within torch.compile, the call is one operator.
    """
    if key is None or x.device.type != "cpu":
        return torch.ops.foveate.attend(x, parts.weights, parts.numbers, mechanism)
    plan = _plan(mechanism, x.shape[1:], parts.weights, parts.numbers)
    copied = any(weight is not own for weight, own in zip(plan.weights, parts.weights, strict=True))
    parts.last = key, None if copied else plan  # a copy would keep the values of this moment
    return plan.carry_out(x)


def cached_plan(module: nn.Module, key: tuple[Any, ...], mechanism: str) -> Any:
    """Return the plan of the module's last call if `key` and the module's parts are the same, or None."""
    parts = module.__dict__.get(CACHED_PARTS)
    if parts is None or parts.last is None:
        return None
    last_key, plan = parts.last
    if last_key != key or not parts.is_current(module):
        return None
    return plan or _plan(mechanism, key[1:4], parts.weights, parts.numbers)


def find_parts(module: Any, x: Tensor, mechanism: str) -> Parts | str:
    """Return what numba's kernel needs to apply `module` to x, or a sentence that says why it cannot."""
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
    if not numba_modules.NUMBA:
        return numba_modules.NOT_INSTALLED
    if x.ndim != 4 or x.numel() == 0:
        return "the map is empty, or not (B, C, H, W)"
    if not torch.compiler.is_compiling():
        kernels = numba_modules.load_kernels(mechanism)
        if isinstance(kernels, str):
            return kernels
    return _fitting_parts(module, x, mechanism)


def find_gpu_parts(module: Any, x: Tensor, mechanism: str) -> Parts | None:
    """Return what `attend` in Triton needs to apply `module` to x, or None where the passes run one by one.

    Those compute the same, gradients and norms in training mode, too. The Triton kernels must be able to take
    x (`operators.why_not`).
    """
    if mechanism not in ON_GPU or torch.is_grad_enabled() or module.training or x.ndim != 4 or x.numel() == 0:
        return None
    parts = _fitting_parts(module, x, mechanism)
    others = 2  # norms: the embedding's and the interaction's; each branch has one
    if isinstance(parts, str) or parts.kinds.count("norm") - others > ON_GPU[mechanism]:
        return None
    return parts


def _fitting_parts(module: Any, x: Tensor, mechanism: str) -> Parts | str:
    parts = read_parts(module, mechanism, x.device)
    # The first weight of each is a 1×1 of the map's channels. A kernel would read beyond a map of fewer.
    if not isinstance(parts, str) and parts.weights and parts.weights[0].shape[1] != x.shape[1]:
        return "the map does not have the channels that the module was built for"
    return parts
