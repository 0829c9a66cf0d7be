"""The passes as operators of torch (`foveate::pool` …), which compiling, export and checkpointing see whole.

Their names and arguments are those of `reference`. Triton kernels implement them on a GPU; on a CPU those of
numba do where they can (`cpu_passes`), or else the reference. Outputs have the dtype of x; the arithmetic is
in float32 (or wider), under autocast too. Small arguments may have another floating dtype than x; each
gradient has the dtype of its argument. Each backward is an operator too.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.library import define, impl, register_autograd, register_fake

from foveate.errors import RequestError
from foveate.kernels import reference
from foveate.kernels.cpu_passes import find_launcher
from foveate.torch_private import record_gradients_in_operator

__all__ = ["convolve_pair", "fuse", "gate", "pool", "pool_channels", "simam", "why_not"]

TRITON = find_spec("triton") is not None
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def why_not(x: Tensor) -> str | None:
    """Return a sentence that says why the Triton kernels cannot take x, or None where they can."""
    if x.device.type != "cuda":
        return f"x is on {x.device.type}, and the Triton kernels run on a GPU"
    if not TRITON:
        return "Triton is not installed"
    if torch.version.hip is None and _capability(x.device) < (7, 0):
        return "the GPU's compute capability is below 7.0, the lowest that Triton compiles for"
    if x.dtype not in DTYPES:
        return f"x is {x.dtype}, and the Triton kernels take float32, bfloat16 and float16"
    if x.shape[1:].numel() >= 2**31:
        return "one image of x has 2³¹ elements or more, beyond the Triton kernels' offsets"
    return None


@torch.compiler.assume_constant_result
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def wide(arguments: Sequence[Any]) -> list[Any]:
    """Return the arguments with all tensors in float32, or in float64 if one of them is."""
    dtypes = {given.dtype for given in tensors(arguments)}
    if strange := dtypes - {*DTYPES, torch.float64}:
        raise RequestError(f"the passes take float32, float64, bfloat16 or float16, not {strange.pop()}")
    dtype = torch.float64 if torch.float64 in dtypes else torch.float32
    return [given.to(dtype) if isinstance(given, Tensor) else given for given in arguments]


def run_reference(function: Callable[..., Any], fake: Callable[..., Any], *arguments: Any) -> Any:
    """Run a reference function in float32 and copy its results into outputs as `fake` declares them."""
    with torch.autocast(arguments[0].device.type, enabled=False):
        y = function(*wide(arguments))
    if isinstance(y, Tensor):
        return fake(*arguments).copy_(y)
    return tuple(empty.copy_(part) for empty, part in zip(fake(*arguments), y, strict=True))


def run_reference_backward(
    function: Callable[..., Any], arguments: Sequence[Any], gradients: Sequence[Tensor]
) -> list[Tensor]:
    """Differentiate a reference function in float32: one gradient for each tensor among the arguments."""
    given = wide(arguments)
    with (
        record_gradients_in_operator(),
        torch.enable_grad(),
        torch.autocast(arguments[0].device.type, enabled=False),
    ):
        leaves = [part.detach().requires_grad_() if isinstance(part, Tensor) else part for part in given]
        y = function(*leaves)
        y = (y,) if isinstance(y, Tensor) else y
        found = torch.autograd.grad(y, tensors(leaves), [d.to(y[0].dtype) for d in gradients])
    return [like(of).copy_(d) for of, d in zip(tensors(arguments), found, strict=True)]


def tensors(arguments: Sequence[Any]) -> list[Tensor]:
    """Return the tensors among the arguments."""
    return [given for given in arguments if isinstance(given, Tensor)]


def layout(x: Tensor) -> torch.memory_format:
    """Return channels_last for a map whose channels are adjacent in memory, dense or not; else contiguous."""
    if x.dim() != 4 or x.stride(1) != 1 or (x.is_contiguous() and x.shape[2] * x.shape[3] != 1):
        return torch.contiguous_format
    return torch.channels_last


def like(x: Tensor, *others: Any) -> Tensor:
    """Return an empty output or gradient with the dtype, shape and layout of x."""
    return torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout(x))


def run_triton(module: str, name: str, *arguments: Any) -> Any:
    """Call a Triton launcher. Triton is imported here, and not before."""
    return getattr(import_module(f"foveate.kernels.triton.{module}"), name)(*arguments)


def declare(
    name: str,
    arguments: str,
    outputs: str,
    function: Callable[..., Any],
    module: str | None,
    fake: Callable[..., Any],
    *,
    kept: int | None = None,
    backward_module: str | None = None,
) -> None:
    """Declare an operator and its backward, their implementations, and what torch needs to trace them.

    `arguments` and `outputs` are in torch's schema notation, `function` is the reference, `fake` returns
    empty outputs. `module` has the Triton launchers `name` and (unless `backward_module` has it)
    `name_backward`, which takes the arguments, then output number `kept`, if any, then a gradient for each
    output, and returns a gradient for each tensor among the arguments. Without a module, the reference runs
    on a GPU, too.
    """
    forward, backward = f"foveate::{name}", f"foveate::{name}_backward"
    count = len(arguments.split(", "))
    also = ["kept"] * (kept is not None) + [f"d_{i}" for i in range(outputs.count("Tensor"))]
    taken = ", ".join([arguments, *(f"Tensor {given}" for given in also)])
    define(forward, f"({arguments}) -> {outputs}", tags=torch.Tag.pt2_compliant_tag)
    define(backward, f"({taken}) -> Tensor[]", tags=torch.Tag.pt2_compliant_tag)

    @impl(forward, "cpu")
    def forward_on_cpu(*given: Any) -> Any:
        launch = find_launcher(name, given, backward=False)
        return launch(*given) if launch else run_reference(function, fake, *given)

    on_gpu = partial(run_triton, module, name) if module else partial(run_reference, function, fake)
    impl(forward, "cuda", on_gpu)
    register_fake(forward, fake)

    @impl(backward, "cpu")
    def backward_on_cpu(*given: Any) -> list[Tensor]:
        gradients = given[count + (kept is not None) :]
        if launch := find_launcher(name, given[:count], backward=True):
            found = launch(*given[: -len(gradients)], *(d.contiguous() for d in gradients))
            return [d.contiguous() for d in found]  # some are columns of one table; the fake ones are not
        return run_reference_backward(function, given[:count], gradients)

    @impl(backward, "cuda")
    def backward_on_gpu(*given: Any) -> list[Tensor]:
        if module is None:
            return run_reference_backward(function, given[:count], given[count:])
        found = run_triton(backward_module or module, f"{name}_backward", *given)
        return tensors([found] if isinstance(found, Tensor) else found)

    @register_fake(backward)
    def fake_backward(*given: Any) -> list[Tensor]:
        return [like(argument) for argument in tensors(given[:count])]

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        also = () if kept is None else (output[kept],)
        ctx.save_for_backward(*(given if isinstance(given, Tensor) else None for given in inputs), *also)
        ctx.others = [None if isinstance(given, Tensor) else given for given in inputs] + [None] * len(also)

    def differentiate(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given = [
            saved if other is None else other
            for saved, other in zip(ctx.saved_tensors, ctx.others, strict=True)
        ]
        found = iter(getattr(torch.ops.foveate, f"{name}_backward")(*given, *gradients))
        return tuple(next(found) if isinstance(argument, Tensor) else None for argument in given[:count])

    def differentiate_twice(ctx: Any, *gradients: Tensor) -> None:
        raise RequestError(
            f"second derivatives of foveate's {name} are not implemented: take the reference path"
        )

    register_autograd(forward, differentiate, setup_context=keep)
    register_autograd(backward, differentiate_twice)


def fake_pool(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return empty outputs of `pool`; the means have the layout of x."""
    B, C, H, W = x.shape
    if layout(x) is torch.channels_last:
        rows, columns = x.new_empty(B, H, C).transpose(1, 2), x.new_empty(B, W, C).transpose(1, 2)
    else:
        rows, columns = x.new_empty(B, C, H), x.new_empty(B, C, W)
    return rows, columns, x.new_empty(B, C)


def fake_pool_channels(x: Tensor, scale: Tensor | None) -> Tensor:
    """Return the empty output of `pool_channels`."""
    return x.new_empty(x.shape[0], 2, *x.shape[2:])


def fake_convolve_pair(x: Tensor, weight: Tensor) -> Tensor:
    """Return the empty output of `convolve_pair`."""
    return x.new_empty(x.shape[0], 1, *x.shape[2:])


FACTORS = "Tensor? channels, Tensor? rows, Tensor? columns, Tensor? positions"
WEIGHTS = "Tensor project, Tensor dff_weight, Tensor dff_bias, Tensor aa_weight, Tensor aa_bias"
MAPS = "Tensor x, Tensor scale, Tensor multi, Tensor product"
declare("pool", "Tensor x", "(Tensor, Tensor, Tensor)", reference.pool, "pool", fake_pool, kept=2)
declare(
    "pool_channels",
    "Tensor x, Tensor? scale",
    "Tensor",
    reference.pool_channels,
    "channels",
    fake_pool_channels,
)
declare("gate", f"Tensor x, {FACTORS}", "Tensor", reference.gate, "gate", like)
declare(
    "convolve_pair", "Tensor x, Tensor weight", "Tensor", reference.convolve_pair, None, fake_convolve_pair
)
declare("simam", "Tensor x, float e_lambda", "Tensor", reference.simam, "simam", like)
declare(
    "fuse",
    f"{MAPS}, {WEIGHTS}",
    "Tensor",
    reference.fuse,
    "fuse",
    like,
    backward_module="fuse_backward",
)


def pool(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the means of rows (B, C, H) and of columns (B, C, W) and the maximum (B, C) of every channel."""
    return torch.ops.foveate.pool(x)


def pool_channels(x: Tensor, scale: Tensor | None) -> Tensor:
    """Return [mean over channels ; max over channels] of scale ⊙ x: see `reference.pool_channels`."""
    return torch.ops.foveate.pool_channels(x, scale)


def gate(
    x: Tensor,
    channels: Tensor | None = None,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """Return x ⊙ channels ⊙ rows ⊙ columns ⊙ positions: see `reference.gate`."""
    return torch.ops.foveate.gate(x, channels, rows, columns, positions)


def convolve_pair(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of two maps with `weight` (1, 2, k, k): see `reference.convolve_pair`."""
    return torch.ops.foveate.convolve_pair(x, weight)


def simam(x: Tensor, e_lambda: float) -> Tensor:
    """Return x ⊙ σ((x - μ)² / (4 (σ² + λ)) + ½): see `reference.simam`."""
    return torch.ops.foveate.simam(x, e_lambda)


def fuse(
    x: Tensor,
    scale: Tensor,
    multi: Tensor,
    product: Tensor,
    project: Tensor,
    dff_weight: Tensor,
    dff_bias: Tensor,
    aa_weight: Tensor,
    aa_bias: Tensor,
) -> Tensor:
    """Return α ⊙ (w₀ + w₁ ⊙ g) ⊙ scale ⊙ x: see `reference.fuse`."""
    weights = (project, dff_weight, dff_bias, aa_weight, aa_bias)
    return torch.ops.foveate.fuse(x, scale, multi, product, *weights)
