"""The choice of the kernel path that a mechanism takes, and the reason for it: all in this file.

A mechanism's own forward, its equations, is the path `reference`. Beside it there can be `triton` (kernels on
a GPU), `numba` (kernels on a CPU: one call in inference, the passes one by one in training) and `rearranged`
(fewer passes over the map by torch's operations, on any device). `auto` takes the first of these that can
run and pays; a path that a user asks for by name runs, or raises. The environment variable
FOVEATE_PATH=reference makes `auto` take the equations in the whole program.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.kernels import cpu_passes, inference, measured, numba_modules, operators, rearranged
from foveate.kernels.parts import Parts, find_hook
from foveate.torch_private import has_dispatch_mode, is_transformed, needs_every_operation

__all__ = [
    "PATHS",
    "Choice",
    "choose_path",
    "fast_paths",
    "has_path",
    "only_reference",
    "recorded_choices",
]

PATHS = ("auto", "reference", "rearranged", "numba", "triton")
VARIABLE = "FOVEATE_PATH"
WHOLE_PROGRAM = os.environ.get(VARIABLE, "auto")
"""What `auto` means in this process: "auto" itself, or "reference"."""

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BY_DEVICE = {"cuda": ("triton", "rearranged"), "cpu": ("numba", "rearranged")}
"""The paths that `auto` tries on a device, in this order."""
REARRANGED: dict[str, Callable[..., Tensor]] = {"dmsca": rearranged.dmsca}
"""Mechanisms that are faster rearranged without Triton kernels too."""
IN_PASSES = REARRANGED | {
    "ca": rearranged.coordinate,
    "cbam": rearranged.cbam,
    "simam": rearranged.simam,
    "spatial_mask": rearranged.spatial_mask,
}
"""Mechanisms in passes over the map, all of which have Triton kernels; for numba's see `cpu_passes`."""
MECHANISMS_OF: dict[str, Mapping[str, Any]] = {
    "numba": inference.KERNELS,
    "rearranged": REARRANGED,
    "triton": IN_PASSES,
}


class Choice(NamedTuple):
    """The kernel path that a map would take now, and why."""

    path: str
    reason: str
    parts: Parts | None = None  # of the module, where one call computes all of it


class _State(threading.local):
    only_reference = False
    choices: "list[tuple[nn.Module, Choice]] | None" = None


_state = _State()


@contextmanager
def only_reference() -> Iterator[None]:
    """Run each mechanism by its equations in the block, so that only torch's operations are counted."""
    before = _state.only_reference
    _state.only_reference = True
    try:
        yield
    finally:
        _state.only_reference = before


@contextmanager
def recorded_choices() -> Iterator[list[tuple[nn.Module, Choice]]]:
    """Collect each module that runs in the block with the choice that was made for it."""
    before, _state.choices = _state.choices, []
    try:
        yield _state.choices
    finally:
        _state.choices = before


def has_path(mechanism: str, path: str) -> bool:
    """Return whether `mechanism` has the kernel path on any device."""
    return mechanism in MECHANISMS_OF[path]


def fast_paths(mechanism: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorate a module's forward, its equations, to choose at each call between them and the kernel paths.

    The attribute `path` of a module asks for a path by name. The undecorated forward is
    `forward.__wrapped__`.
    """

    def decorate(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(forward)
        def run(self: nn.Module, x: Tensor) -> Tensor:
            key = None if torch.compiler.is_compiling() else _cache_key(self, x)
            if key is not None:
                plan = inference.cached_plan(self, key, mechanism)
                if plan is not None:
                    return plan.carry_out(x)
            choice = choose_path(self, x, mechanism)
            path, _, parts = choice
            if _state.choices is not None:
                _state.choices.append((self, choice))
            if parts is not None:
                return inference.attend(x, parts, mechanism, key)
            if path in ("triton", "numba"):
                return IN_PASSES[mechanism](self, x, operators)
            if path == "rearranged":
                return REARRANGED[mechanism](self, x)
            return forward(self, x)

        run.mechanism = mechanism  # type: ignore[attr-defined]
        return run

    return decorate


def _cache_key(module: nn.Module, x: Tensor) -> tuple[Any, ...] | None:
    """Return everything but the module's parts that a choice depends on; None where no choice is cached."""
    if (
        type(x) is not Tensor
        or x.ndim != 4
        or _state.only_reference
        or _state.choices is not None
        or needs_every_operation()
    ):
        return None
    B, C, H, W = x.shape
    settings = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), numba_modules.NUMBA, WHOLE_PROGRAM
    return B > 0, C, H, W, x.dtype, x.device, module.training, module.__dict__.get("path"), settings


def choose_path(module: Any, x: Tensor, mechanism: str) -> Choice:
    """Choose the kernel path of `module`, a `mechanism`, for the map x (B, C, H, W) in the current state.

    Raises RequestError for a map that is not floating, and where the module asks for a path that cannot run.
    """
    asked = module.__dict__.get("path", "auto")
    if asked == "auto" and WHOLE_PROGRAM != "auto":
        return Choice("reference", _whole_program())
    obstacle = _why_no_kernel(x)
    if asked == "reference":
        return Choice("reference", "asked for by name")
    if obstacle and not isinstance(x, Tensor):
        return Choice("reference", obstacle)
    if obstacle and (asked == "auto" or _state.only_reference or torch.onnx.is_in_onnx_export()):
        return Choice("reference", obstacle)
    if x.dtype not in FLOATING:
        raise RequestError(f"attention takes a map of float16, bfloat16, float32 or float64, got {x.dtype}")
    hook = None if torch.compiler.is_compiling() else find_hook(module)
    reasons: list[str] = []
    for path in BY_DEVICE.get(x.device.type, ()) if asked == "auto" else (asked,):
        found = _try_path(module, x, mechanism, path, hook)
        if asked == "auto" and path in ("triton", "numba") and not isinstance(found, str):
            training = module.training or (path == "numba" and torch.is_grad_enabled())
            slower = measured.find_slower(mechanism, x, training)
            found = found if slower is None else str(slower)
        if not isinstance(found, str):
            reason = "asked for by name" if asked != "auto" else "; ".join(reasons) or "the fastest there is"
            if path == "triton":
                reason = f"{reason}; {measured.standing(mechanism, x.device)}"
            return Choice(path, reason, found)
        reasons.append(f"no {path}: {found}")
    if asked != "auto":
        raise RequestError(f"{mechanism} cannot take the path that was asked for: {reasons[0]}")
    return Choice("reference", "; ".join(reasons) or "there are no kernels for this device")


def _whole_program() -> str:
    if WHOLE_PROGRAM != "reference":
        raise RequestError(f"{VARIABLE}={WHOLE_PROGRAM!r}: expected auto or reference")
    return f"{VARIABLE}=reference"


def _why_no_kernel(x: Any) -> str | None:
    """Return what rules out every kernel, whatever the module is, or None."""
    if _state.only_reference:
        return "only the equations may run here (something is counted or exported)"
    if not isinstance(x, Tensor) or torch.jit.is_tracing():
        return "the network is being traced"
    if not torch.compiler.is_compiling() and is_transformed():
        return "torch.func or forward-mode differentiation is active and needs every operation"
    if _is_exporting():
        return "the network is being exported, and the program must run without foveate"
    if not torch.compiler.is_compiling() and has_dispatch_mode():
        return "a TorchDispatchMode is active, as in FLOP counters, and needs every operation"
    if type(x) is not Tensor and type(x) is not nn.Parameter:
        return "the map is a tensor of another class"
    return None


@torch.compiler.assume_constant_result  # torch 2.11 would take it for True in every compilation
def _is_exporting() -> bool:
    return bool(getattr(torch.compiler, "is_exporting", bool)())  # torch 2.7 and later


def _try_path(
    module: nn.Module, x: Tensor, mechanism: str, path: str, hook: str | None
) -> Parts | str | None:
    """Return a sentence that says why a path cannot run; else None, or the parts for a single call.

    `hook` is the sentence on a hook of the module's parts, if they have one.
    """
    if mechanism not in MECHANISMS_OF[path]:
        return "there is none for this mechanism"
    if excluded := getattr(module, "excluded", None):
        return f"parts are excluded ({', '.join(excluded)}), and this path needs all of them"
    if hook:
        return hook
    if path == "numba":
        found = inference.find_parts(module, x, mechanism)
        is_training = torch.is_grad_enabled() or module.training
        if not isinstance(found, str) or not is_training or x.device.type != "cpu":
            return found
        return cpu_passes.why_not(x, mechanism)
    if path != "triton":
        return None
    return operators.why_not(x) or inference.find_gpu_parts(module, x, mechanism)
