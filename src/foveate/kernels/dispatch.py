"""The one place that decides which path a mechanism takes, and says why.

A mechanism's own forward, its equations, is the `reference`. Beside it there can be `triton` (the passes as
kernels on a GPU, also in training), `numba` (all in one call on a CPU, for inference) and `rearranged` (fewer
passes in plain torch, anywhere). `auto` takes the first of these that can run and pays; a path asked for by
name runs, or raises. The environment variable FOVEATE_PATH=reference turns `auto` into the equations for a
whole program.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from foveate.errors import RequestError
from foveate.kernels import inference, measured, operators, rearranged
from foveate.kernels.parts import Parts

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
"""What `auto` stands for in this process: itself, or "reference"."""

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BY_DEVICE = {"cuda": ("triton", "rearranged"), "cpu": ("numba", "rearranged")}  # the first that can
REARRANGED: dict[str, Callable[..., Tensor]] = {"dmsca": rearranged.dmsca}
"""Mechanisms of which the rearranged form pays in plain torch too."""
TRITON = REARRANGED | {
    "ca": rearranged.coordinate,
    "cbam": rearranged.cbam,
    "simam": rearranged.simam,
    "spatial_mask": rearranged.spatial_mask,
}
"""Mechanisms whose passes Triton carries out."""
FORMS: dict[str, Mapping[str, Any]] = {
    "numba": inference.KERNELS,
    "rearranged": REARRANGED,
    "triton": TRITON,
}


class Choice(NamedTuple):
    """The path that a map would take now, and why."""

    path: str
    reason: str
    parts: Parts | None = None  # of the module, where numba takes them


class _State(threading.local):
    only_reference = False
    taken: "list[tuple[nn.Module, Choice]] | None" = None


_state = _State()


@contextmanager
def only_reference() -> Iterator[None]:
    """Run every mechanism by its equations within: what is counted or exported is then plain torch."""
    before = _state.only_reference
    _state.only_reference = True
    try:
        yield
    finally:
        _state.only_reference = before


@contextmanager
def recorded_choices() -> Iterator[list[tuple[nn.Module, Choice]]]:
    """Collect which module took which path within."""
    before, _state.taken = _state.taken, []
    try:
        yield _state.taken
    finally:
        _state.taken = before


def has_path(mechanism: str, path: str) -> bool:
    """Whether `mechanism` has that path at all, on some device."""
    return mechanism in FORMS[path]


def fast_paths(mechanism: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Make a module's forward, its equations, choose between them and the faster paths of `mechanism`.

    A module's attribute `path` asks for one by name. The undecorated forward is `forward.__wrapped__`.
    """

    def decorate(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(forward)
        def run(self: nn.Module, x: Tensor) -> Tensor:
            circumstances = None if torch.compiler.is_compiling() else _circumstances(self, x)
            if circumstances is not None:
                plan = inference.remembered_plan(self, circumstances, mechanism)
                if plan is not None:
                    return plan.carry_out(x)
            choice = choose_path(self, x, mechanism)
            path, _, parts = choice
            if _state.taken is not None:
                _state.taken.append((self, choice))
            if parts is not None:
                return inference.attend(x, parts, mechanism, circumstances)
            if path == "triton":
                return TRITON[mechanism](self, x, operators)
            if path == "rearranged":
                return REARRANGED[mechanism](self, x)
            return forward(self, x)

        run.mechanism = mechanism  # type: ignore[attr-defined]
        return run

    return decorate


def _circumstances(module: nn.Module, x: Tensor) -> tuple[Any, ...] | None:
    """All that a choice rests on beside the parts of the module; None where it is made anew each time."""
    if (
        type(x) is not Tensor
        or x.ndim != 4
        or _state.only_reference
        or _state.taken is not None
        or torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or _is_transformed()
    ):
        return None
    B, C, H, W = x.shape
    settings = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), inference.NUMBA, WHOLE_PROGRAM
    return B > 0, C, H, W, x.dtype, x.device, module.training, module.__dict__.get("path"), settings


def _is_transformed() -> bool:
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def choose_path(module: Any, x: Tensor, mechanism: str) -> Choice:
    """Choose the path of `module`, a `mechanism`, for the map x (B, C, H, W) as things are at this moment.

    Raises RequestError for a map that is not floating, and where the module asks for a path that cannot run.
    """
    asked = module.__dict__.get("path", "auto")
    if asked == "auto" and WHOLE_PROGRAM != "auto":
        return Choice("reference", _whole_program())
    plain = _why_plain(x)
    if asked == "reference":
        return Choice("reference", "asked for by name")
    if plain and not isinstance(x, Tensor):
        return Choice("reference", plain)
    if plain and (asked == "auto" or _state.only_reference or torch.onnx.is_in_onnx_export()):
        return Choice("reference", plain)
    if x.dtype not in FLOATING:
        raise RequestError(f"attention takes a map of float16, bfloat16, float32 or float64, got {x.dtype}")
    reasons: list[str] = []
    for path in BY_DEVICE.get(x.device.type, ()) if asked == "auto" else (asked,):
        found = _look_for(module, x, mechanism, path)
        if asked == "auto" and path == "triton" and found is None:
            slower = measured.find_slower(mechanism, x, module.training)
            found = None if slower is None else str(slower)
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


def _why_plain(x: Any) -> str | None:
    """What asks for plain torch whatever the module and the map are."""
    if _state.only_reference:
        return "only equations are wanted here (something is counted or exported)"
    if not isinstance(x, Tensor) or torch.jit.is_tracing():
        return "the network is being traced"
    if not torch.compiler.is_compiling() and _is_transformed():
        return "torch.func, or forward-mode differentiation, follows every operation"
    if _is_exporting():
        return "the network is being exported, and its program is to run without foveate"
    if not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack():
        return "its operations are watched, as those who count them do (a TorchDispatchMode is on)"
    if type(x) is not Tensor and type(x) is not nn.Parameter:
        return "the map is a tensor of another class"
    return None


@torch.compiler.assume_constant_result  # torch 2.11 would take it for True in every compilation
def _is_exporting() -> bool:
    return bool(getattr(torch.compiler, "is_exporting", bool)())  # torch 2.7 and later


def _look_for(module: nn.Module, x: Tensor, mechanism: str, path: str) -> Parts | str | None:
    """See whether a path can be taken: a sentence says why not; numba's needs the module's parts."""
    if mechanism not in FORMS[path]:
        return "it has no such form"
    if left_out := getattr(module, "left_out", None):
        return f"parts were left out ({', '.join(left_out)}), and it has the whole equations only"
    if path == "numba":
        return inference.find_parts(module, x, mechanism)
    return operators.why_not(x) if path == "triton" else None
