"""Third step: measure the latency of attention beside its equations, timm's layer, and compiled networks."""

import gc
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import price_proof
from compiled_networks import check_output
from foveate.errors import WorkError
from foveate.evaluation.step import capture_graph
from foveate.evaluation.timing import WARM_UP, compare_latencies, take_turns
from foveate.profiling.networks import Ready, make_ready
from gpu_steps.settings import Settings
from gpu_steps.units import Unit
from price_goals import Comparison
from price_measure import ROUNDS, measure
from price_networks import BASELINE, EQUATIONS, FOVEATE, Case

STEP = "price"
COMPILED = "compiled"
COMPILED_FOVEATE = "compiled, with foveate's kernels,"


def units(settings: Settings) -> list[Unit]:
    """List the units: the comparisons, then compiled: the baseline in each form, the equations, foveate's.

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
        Unit(STEP, title_of_compiled(case, which), compare_compiled, (case, which), 180.0, 60.0)
        for which in (EQUATIONS, FOVEATE)
        for case in settings.cases
    ]


def title_of_compiled(case: Case, which: str = EQUATIONS) -> str:
    """Return the title of the unit in which a network is compiled: the baseline's case has its name."""
    return f"{COMPILED_FOVEATE if which == FOVEATE else COMPILED} {case.name}"


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
    """Compile one network of a case, and measure it in turns with the uncompiled baseline.

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
    spec = replace(spec, path="reference" if which == EQUATIONS else "auto")
    base = make_ready(replace(spec, path="auto"), plain)
    chosen = plain if which == BASELINE else candidate
    eager, without = _logits(make_ready(spec, chosen)), _logits(base)
    compiled = make_ready(replace(spec, compile=True), chosen, backend=settings.backend)
    started = time.perf_counter()
    found = _logits(compiled)
    compiled.step()
    _wait(settings)
    took = time.perf_counter() - started
    off = check_output(found, eager, None if which == BASELINE else without)
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


def _logits(ready: Ready) -> Tensor:
    """Return the logits in float64, in the gradient mode of the step: torch compiles for that mode."""
    with torch.inference_mode(ready.optimizer is None):
        return ready.runs(ready.images).detach().double()


def _wait(settings: Settings) -> None:
    if settings.device == "cuda":
        torch.cuda.synchronize()
