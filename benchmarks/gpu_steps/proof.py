"""First step: prove that every kernel and every network equals the equations, in each dtype."""

import copy
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend

from foveate.errors import RequestError
from foveate.evaluation.compiling import compile_whole
from foveate.kernels import has_path, only_reference, operators
from foveate.models import attached
from foveate.models.sites.attach import detach
from foveate.models.sites.kernel_paths import kernel_paths
from foveate.profiling.networks import fill_zero_scales
from foveate.studies.engine.network import build_network
from foveate.studies.spec.candidate import Candidate
from gpu_steps.settings import Settings
from gpu_steps.units import Unit
from price_proof import ROOM, pass_cases

STEP = "proof"
CLASSES = 10


def units(settings: Settings) -> list[Unit]:
    """List the units of this step, most important first."""
    found = [
        # Each case of fuse has its own constants and is compiled separately.
        Unit(STEP, f"kernel {name}", check_kernel, (name,), 60.0 if name == "fuse" else 20.0)
        for name in pass_cases.PASSES
    ]
    with_kernels = [name for name in settings.proved if has_path(name, "triton") or name == "sgfa"]
    for mechanisms in (with_kernels, [name for name in settings.proved if name not in with_kernels]):
        for mechanism in mechanisms:
            title = f"training step of {settings.backbone(mechanism)} with {mechanism}"
            found.append(Unit(STEP, title, check_step, (mechanism,), 100.0, 40.0))
        for mechanism in mechanisms:
            title = f"torch.compile of {settings.backbone(mechanism)} with {mechanism}"
            found.append(Unit(STEP, title, check_compiled, (mechanism,), 150.0, 60.0))
    return found


def check_kernel(settings: Settings, name: str, *, seconds: float) -> dict[str, Any]:
    """Compare a kernel's outputs and gradients with float64, in all dtypes, layouts and shapes.

    It stops before a case that could exceed its time, and returns how many cases were compared. An error is
    the largest difference over the largest absolute value, as in the tests.
    """
    os.environ["CUDA_LAUNCH_BLOCKING"] = "1"  # so that an illegal access is raised in its own case
    ended = time.perf_counter() + seconds
    longest = 0.0
    cases = _kernel_cases(settings)
    worst: dict[str, dict[str, float]] = {}
    faults, checked = [], 0
    operator = pass_cases.function_of(name, operators)
    for shape, dtype, layout in cases:
        begun = time.perf_counter()
        if begun + 1.5 * longest > ended:
            break
        given = pass_cases.arguments(name, shape, dtype, layout, settings.device)
        outputs, gradients = pass_cases.truth(name, given)
        try:
            found, d_found = pass_cases.outputs_and_gradients(operator, given)
        except Exception as error:  # the other cases continue
            said = f"{type(error).__name__}: {str(error)[:200]}"
            faults.append(f"{said} at {shape}, {_short(dtype)}, {layout}")
            continue
        checked += 1
        longest = max(longest, time.perf_counter() - begun)
        for part, given_parts, true_parts in (("output", found, outputs), ("gradient", d_found, gradients)):
            for y, of in zip(given_parts, true_parts, strict=True):
                off, allowed = pass_cases.difference(y, of), pass_cases.TOLERANCE[y.dtype]
                of_dtype = worst.setdefault(_short(y.dtype), {"allowed": allowed})
                of_dtype[part] = max(of_dtype.get(part, 0.0), off)
                if not off <= allowed:
                    faults.append(f"{part} off by {off:.1e} at {shape}, {_short(dtype)}, {layout}")
    return {"checked": checked, "of": len(cases), "worst": worst, "faults": faults}


def _kernel_cases(settings: Settings) -> list[tuple[tuple[int, ...], torch.dtype, str]]:
    """List shapes, dtypes and layouts; every shape comes once before any comes again."""
    forms = [(dtype, layout) for layout in pass_cases.LAYOUTS for dtype in pass_cases.DTYPES]
    shapes = [*pass_cases.SHAPES, *settings.shapes]
    cases = [
        (shape, *forms[(place + turn) % len(forms)])
        for turn in range(len(forms))
        for place, shape in enumerate(shapes)
    ]
    return cases[: settings.kernel_cases]


def check_step(settings: Settings, mechanism: str, *, seconds: float) -> dict[str, Any]:
    """Compare a whole network's training step with that of its equations in float64, in two dtypes.

    The tolerance is ROOM times the error of the equations in that dtype, or that of the kernels.
    """
    network, images, labels = _make(settings, mechanism)
    _exact_float32()
    with only_reference():
        exact = _step(copy.deepcopy(network).double(), images.double(), labels)
    found: dict[str, Any] = {"faults": []}
    for dtype in (torch.float32, torch.bfloat16):
        cast = copy.deepcopy(network).to(dtype)
        with only_reference():
            equations = _step(copy.deepcopy(cast), images.to(dtype), labels)
        fast = _step(cast, images.to(dtype), labels)
        rows = {}
        for part, true in exact.items():
            off, usual = (_distance(given[part], true) for given in (fast, equations))
            allowed = max(pass_cases.TOLERANCE[dtype], ROOM * usual)
            rows[part] = {"off": off, "equations_off": usual, "allowed": allowed}
            if not off <= allowed:
                found["faults"].append(f"{part} off by {off:.1e} in {_short(dtype)}, {allowed:.1e} allowed")
        found[_short(dtype)] = rows
    network.train()
    found["paths"] = sorted({site.path for site in kernel_paths(network)})
    return found


def check_compiled(settings: Settings, mechanism: str, *, seconds: float) -> dict[str, Any]:
    """Compile a network, train one step, and compare it with the uncompiled step and with no attention."""
    network, images, labels = _make(settings, mechanism)
    _exact_float32()
    eager = _step(copy.deepcopy(network), images, labels)
    without = _step(detach(copy.deepcopy(network)), images, labels)
    started = time.perf_counter()
    by_triton = any(site.path == "triton" for site in kernel_paths(network))
    inner, operations = lookup_backend(settings.backend), Counter[str]()

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        operations.update(str(node.target) for node in graph.graph.nodes if "foveate" in str(node.target))
        return inner(graph, inputs)

    compiled = compile_whole(network, backend=backend)
    found = _step(network, images, labels, run=compiled)
    took = time.perf_counter() - started
    off = _distance(found["logits"], eager["logits"])
    off_gradient = _distance(found["gradients"], eager["gradients"])
    away = _distance(without["logits"], eager["logits"])
    faults = []
    if not (off <= 1e-3 and off < 0.1 * away):
        faults.append(f"logits off by {off:.1e}; without attention they are off by {away:.1e}")
    if by_triton and not operations:
        faults.append("the compiled graph has the equations, and the kernels are what runs uncompiled")
    if not off_gradient <= 1e-2:
        faults.append(f"gradients off by {off_gradient:.1e}")
    return {
        "off": off,
        "gradients_off": off_gradient,
        "without_attention_off": away,
        "compile_seconds": round(took, 1),
        "kernels_in_the_graph": dict(operations),
        "faults": faults,
    }


def _exact_float32() -> None:
    """Switch off TF32, whose 10 bits would hide errors of kernels."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def _make(settings: Settings, mechanism: str) -> tuple[nn.Module, Tensor, Tensor]:
    backbone = settings.backbone(mechanism)
    network = build_network(backbone, Candidate(name=mechanism), classes=CLASSES, channels=3)
    fill_zero_scales(network)
    network = network.to(settings.torch_device).train()
    if not attached(network):
        raise RequestError(f"{backbone} has no place for {mechanism}")
    for module in network.modules():  # random layers cannot be compared
        if isinstance(module, nn.Dropout) or type(module).__name__ == "DropPath":
            module.eval()
    draw = torch.Generator().manual_seed(0)
    shape = (settings.network_batch, 3, settings.network_size, settings.network_size)
    images = torch.randn(shape, generator=draw).to(settings.torch_device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(settings.network_batch, device=settings.torch_device) % CLASSES
    return network.to(memory_format=torch.channels_last), images, labels


def _step(
    network: nn.Module, images: Tensor, labels: Tensor, run: Callable[..., Any] | None = None
) -> dict[str, Tensor]:
    """Return logits, loss, and the gradients of all weights and those of attention, each in one tensor."""
    logits = (network if run is None else run)(images)
    loss = nn.functional.cross_entropy(logits.float() if logits.dtype != torch.float64 else logits, labels)
    loss.backward()
    parts = {"logits": logits.detach(), "loss": loss.detach()[None]}
    parts["gradients"] = _joined(network)
    of_attention = [_joined(module) for module in attached(network).values()]
    if any(part.numel() for part in of_attention):  # SimAM has no weights
        parts["gradients of attention"] = torch.cat(of_attention)
    return parts


def _joined(module: nn.Module) -> Tensor:
    gradients = [weight.grad.flatten() for weight in module.parameters() if weight.grad is not None]
    return torch.cat(gradients) if gradients else torch.empty(0)


def _distance(found: Tensor, true: Tensor) -> float:
    """Return the norm of the difference over the norm of the truth."""
    return ((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-30)).item()


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
