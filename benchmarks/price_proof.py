"""Prove that every kernel path equals the equations in float64 before any figure is printed."""

import copy
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import create_attention
from foveate.errors import RequestError, WorkError
from foveate.kernels import has_path, only_reference
from foveate.kernels.numba_modules import NUMBA, load_kernels
from foveate.models import attached, set_path
from foveate.profiling.networks import make_ready, refusals
from foveate.profiling.spec import ProfileSpec
from foveate.studies.spec.candidate import Candidate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernels"))
import pass_cases  # noqa: E402  the table of cases and tolerances

PATHS = {"cpu": ("auto", "rearranged", "numba"), "cuda": ("auto", "rearranged", "triton")}
DTYPES = {"cpu": (torch.float32,), "cuda": (torch.float32, torch.bfloat16, torch.float16)}
ROOM = 4  # on small maps in half precision the error is up to 2.2 times the equations', by chance
SHAPES = ((1, 64, 1, 1), (3, 64, 13, 29), (2, 64, 28, 28))


def check_kernels_load(mechanisms: Sequence[str]) -> None:
    """Raise WorkError if numba is installed but its kernels cannot be loaded: equations would be timed."""
    loaded = [load_kernels(name) for name in mechanisms if NUMBA and has_path(name, "numba")]
    if said := next((found for found in loaded if isinstance(found, str)), None):
        raise WorkError(f"numba is installed, but {said}")


def run_equality_tests(device: torch.device) -> str:
    """Run all tests of the kernels for `device`, and return pytest's summary line."""
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ""} if device.type == "cpu" else {})
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "tests/kernels"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).rstrip().splitlines() or [""]
    if done.returncode:
        raise WorkError("the equality tests failed:\n" + "\n".join(said[-30:]))
    return f"`pytest -q tests/kernels`: {said[-1].strip('= ')}"


def check_every_path(mechanisms: Sequence[str], device: torch.device) -> str:
    """Compare each kernel path of each mechanism on `device` with its equations; return what was done.

    This is a subset of the tests: odd and even maps, both layouts, inference and gradients in training.
    """
    checked = []
    for mechanism in mechanisms:
        torch.manual_seed(0)
        module = create_attention(mechanism, SHAPES[0][1]).to(device)
        for path in PATHS[device.type]:
            try:
                set_path(module, path)
            except RequestError:
                continue  # the mechanism has no such path
            for dtype in DTYPES[device.type]:
                _check_path(module.to(dtype), f"{mechanism} by {path}", device, dtype, path != "numba")
            checked.append(f"{mechanism} by {path}")
    return f"quick check of {', '.join(checked) or 'nothing: there are no paths beside the equations'}"


def _check_path(module: nn.Module, what: str, device: torch.device, dtype: torch.dtype, trains: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    for shape, form in itertools.product(SHAPES, (torch.contiguous_format, torch.channels_last)):
        x = torch.randn(shape, generator=draw).to(device, dtype).contiguous(memory_format=form)
        with torch.inference_mode():
            _compare(module.eval(), x, what)
        if trains:
            _compare(module.train(), x, f"{what}, training", gradients=True)


def check_network(spec: ProfileSpec, candidate: Candidate) -> None:
    """Compare the output of each site of a network, as it will be timed, with its equations.

    In training, the gradients of each site's map and weights are compared as well.
    """
    training = spec.mode == "training"
    with refusals(spec, candidate.label):
        made = make_ready(spec, candidate)
        for path, module in attached(made.network).items():
            module.register_forward_hook(_checking(f"{candidate.label} at {path}", training))
        with torch.no_grad() if training else torch.inference_mode():
            made.network(made.images)


def _checking(what: str, training: bool) -> Any:
    def check(module: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> None:
        _compare(module, args[0], what, gradients=training, y=None if training else y)

    return check


def _compare(module: nn.Module, x: Tensor, what: str, *, gradients: bool = False, y: Any = None) -> None:
    """Raise WorkError unless module(x), or y, and the gradients equal those of its equations in float64.

    The tolerance is that of the tests for the dtype, or, if rounding in the module adds up to more, four
    times the error of the equations in that dtype. The error of outputs is their largest difference, that of
    gradients the norm of the difference, for all weights together: rounding can decide which of two nearly
    equal elements is the maximum and gets its gradient.
    """
    with only_reference():
        exact = _run(copy.deepcopy(module).double(), x.double(), gradients)
        equations = _run(copy.deepcopy(module), x, gradients)
    found = {"output": y} if y is not None else _run(module, x, gradients)
    for part, true in exact.items():
        size = max(_size(part, true), 1e-30)
        off, usual = (_size(part, given[part] - true) / size for given in (found, equations))
        allowed = max(pass_cases.TOLERANCE[x.dtype], ROOM * usual)
        if not off <= allowed:  # also if either is NaN
            raise WorkError(
                f"{what}, map of {'×'.join(map(str, x.shape))} in {x.dtype}: its {part} is off the equations "
                f"in float64 by {off:.1e} of its size; allowed is {allowed:.1e}"
            )


def _size(part: str, x: Tensor) -> float:
    return (x.abs().max() if part == "output" else x.double().norm()).item()


def _run(module: nn.Module, x: Tensor, gradients: bool) -> dict[str, Tensor]:
    """Return the output, and the gradients of x and of all weights, without calling hooks of the module."""
    if not gradients:
        return {"output": module.forward(x)}
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        y = module.forward(x)
        up = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=torch.float64).reshape(y.shape)
        of_x, *of_weights = torch.autograd.grad(y, [x, *module.parameters()], up.to(y.dtype))
    parts = {"output": y.detach(), "gradient of the map": of_x}
    if of_weights:
        parts["gradients of the weights"] = torch.cat([part.flatten() for part in of_weights])
    return parts
