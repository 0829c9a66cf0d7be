"""Third step: measure the latency of attention beside its equations, timm's layer, and compiled networks."""

import gc
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import price_proof
from foveate.errors import WorkError
from foveate.evaluation.step import capture_graph
from foveate.evaluation.timing import WARM_UP, compare_latencies, take_turns
from foveate.profiling.networks import Ready, make_ready
from gpu_steps.settings import Settings
from gpu_steps.units import Unit
from price_goals import Comparison
from price_measure import ROUNDS, measure
from price_networks import BASELINE, EQUATIONS, Case

STEP = "price"
COMPILED = "compiled"
FAR = 0.25
"""The largest error of a compiled network, as a share of the distance of its output from the baseline's."""


def units(settings: Settings) -> list[Unit]:
    """List the units: the comparisons, then the compiled baseline in each form, then the compiled equations.

    Within each kind the most important come first; compiling comes last, because it takes longest.
    """
    found = [
        Unit(STEP, case.name, compare, (case,), 200.0 if case.mode == "training" else 120.0, 30.0)
        for case in settings.cases
    ]
    forms: dict[Case, Case] = {}
    for case in settings.cases:
        forms.setdefault(case._replace(mechanism=BASELINE), case)
    for form, case in forms.items():
        found.append(Unit(STEP, title_of_compiled(form), compare_compiled, (case, BASELINE), 180.0, 60.0))
    return found + [
        Unit(STEP, title_of_compiled(case), compare_compiled, (case, EQUATIONS), 180.0, 60.0)
        for case in settings.cases
    ]


def title_of_compiled(case: Case) -> str:
    """Return the title of the unit in which the equations of a case, or the baseline, are compiled."""
    return f"{COMPILED} {case.name}"


def compare(settings: Settings, case: Case, *, seconds: float) -> Comparison:
    """Prove that each site equals its equations, then measure the contenders of a case in turns.

    If the memory is too small (the equations of DMSCA in training need most), the batch is halved; the record
    has the batch that was measured.
    """
    try:
        spec = case.spec(settings.torch_device, None, settings.seconds)
        torch.backends.cudnn.benchmark = False  # do not search for the fastest float64 convolution
        price_proof.check_network(spec, spec.attention[1])
        torch.backends.cudnn.benchmark = True  # so that the baseline is as fast as possible, too
        return measure(case, spec)
    except WorkError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError) or case.batch_size == 1:
            raise
    return compare(settings, _halved(case), seconds=seconds)


def _halved(case: Case) -> Case:
    """Free the memory of a case, and return the case with half of its images."""
    gc.collect()
    torch.cuda.empty_cache()
    return case._replace(batch_size=case.batch_size // 2)


def compare_compiled(settings: Settings, case: Case, which: str, *, seconds: float) -> dict[str, Any]:
    """Compile the baseline, or the equations of a case, and measure it in turns with the uncompiled baseline.

    Its output is compared with the uncompiled one before it is timed. The batch is halved if the memory is
    too small, as in `compare`.
    """
    try:
        return _compare_compiled(settings, case, which)
    except torch.OutOfMemoryError:
        if case.batch_size == 1:
            raise
    return compare_compiled(settings, _halved(case), which, seconds=seconds)


def _compare_compiled(settings: Settings, case: Case, which: str) -> dict[str, Any]:
    torch.backends.cudnn.benchmark = True
    spec = case.spec(settings.torch_device, None, settings.seconds)
    plain, candidate = spec.attention
    spec = replace(spec, path="auto" if which == BASELINE else "reference")
    base = make_ready(replace(spec, path="auto"), plain)
    chosen = plain if which == BASELINE else candidate
    eager, without = _output(make_ready(spec, chosen)), _output(base)
    compiled = make_ready(replace(spec, compile=True), chosen, backend=settings.backend)
    started = time.perf_counter()
    found = _output(compiled)
    compiled.step()
    _wait(settings)
    took = time.perf_counter() - started
    off = _check(found, eager, None if which == BASELINE else without)
    steps = {BASELINE: base.step, COMPILED: compiled.step}
    if spec.graph:
        steps = {name: capture_graph(step, WARM_UP) for name, step in steps.items()}
    turns = take_turns(steps, spec.device, seconds=spec.seconds, rounds=ROUNDS)
    latency = compare_latencies(turns)
    over = latency[COMPILED]
    return {
        "what": which,
        "batch_size": case.batch_size,
        "over_plain": {"ratio": over.ratio, "quartiles": over.quartiles, "interval": over.interval},
        "ms_p50": {name: found.p50 for name, found in latency.items()},
        "compile_seconds": round(took, 1),
        "off": off,
    }


def _output(ready: Ready) -> Tensor:
    """Return the logits in float64, in the gradient mode of the step: torch compiles for that mode."""
    with torch.inference_mode(ready.optimizer is None):
        return ready.runs(ready.images).detach().double()


def _check(found: Tensor, eager: Tensor, plain: Tensor | None) -> float:
    """Return the error of a compiled output; raise WorkError if it is too large."""
    size = eager.norm().clamp(min=1e-30)
    off = ((found - eager).norm() / size).item()
    away = 1.0 if plain is None else ((plain - eager).norm() / size).item()
    if not off <= max(FAR * away, 1e-4):
        raise WorkError(
            f"the compiled network is off its uncompiled self by {off:.1e}, and the baseline is by "
            f"{away:.1e}: it is not timed"
        )
    return off


def _wait(settings: Settings) -> None:
    if settings.device == "cuda":
        torch.cuda.synchronize()
