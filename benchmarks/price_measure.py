"""Measure a comparison: times in turns, peak memory, kernel paths, the time of the first use."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import PackageNotFoundError, version

import torch

from foveate import kernel_paths
from foveate.evaluation.step import capture_graph
from foveate.evaluation.timing import WARM_UP, Turns, compare_latencies, take_turns
from foveate.profiling.networks import Ready, refusals
from foveate.profiling.spec import ProfileSpec
from price_goals import Comparison, PathUse, Ratios
from price_networks import AGAIN, BASELINE, EQUATIONS, FOVEATE, TIMM, Case, make_contenders

ROUNDS = (11, 2000)
FIRST_USE = """
import sys, time
import torch, foveate
_, mechanism, device, dtype = sys.argv
module = foveate.create_attention(mechanism, 64).eval().to(device, getattr(torch, dtype))
x = torch.randn(1, 64, 14, 14).to(device, getattr(torch, dtype)).to(memory_format=torch.channels_last)
with torch.inference_mode():
    started = time.perf_counter()
    module(x).sum().item()
    print(time.perf_counter() - started)
"""


def measure(case: Case, spec: ProfileSpec) -> Comparison:
    """Measure the contenders of a case in turns; figures that are not measured are None."""
    training = case.mode == "training"
    with refusals(spec, "the networks"):
        ready = make_contenders(spec)
        paths = _kernel_paths(ready[FOVEATE], training)
        memory = _peaks_over_plain(ready) if training or spec.device.type == "cuda" else None
        steps = {name: made.step for name, made in ready.items()}
        if spec.graph:
            steps = {name: capture_graph(step, WARM_UP) for name, step in steps.items()}
        turns = take_turns(steps, spec.device, seconds=spec.seconds, rounds=ROUNDS)
    over = {base: against(turns, base) for base in (BASELINE, EQUATIONS, TIMM) if base in turns.names}
    return case._asdict() | {
        "rounds": turns.milliseconds.shape[1],
        "steps_per_time": turns.steps_per_time,
        "ms_p50": {name: latency.p50 for name, latency in compare_latencies(turns).items()},
        "over_plain": {name: over[BASELINE].get(name) for name in (FOVEATE, EQUATIONS, TIMM, AGAIN)},
        "over_equations": over[EQUATIONS][FOVEATE],
        "over_timm": over[TIMM][FOVEATE] if TIMM in over else None,
        "peak_memory_over_plain": memory,
        "paths": paths,
    }


def against(turns: Turns, base: str) -> dict[str, Ratios]:
    """Return the ratios of all networks to `base`, within each round."""
    names = sorted(turns.names, key=lambda name: name != base)
    order = [turns.names.index(name) for name in names]
    compared = compare_latencies(Turns(names, turns.milliseconds[order], turns.steps_per_time))
    return {
        name: {"ratio": found.ratio, "quartiles": found.quartiles, "interval": found.interval}
        for name, found in compared.items()
    }


def _peaks_over_plain(ready: dict[str, Ready]) -> dict[str, float]:
    """Return the peak memory of each network in a step, over the baseline's."""
    peaks = {}
    for name, made in ready.items():
        held, peak = made.measure_memory()
        peaks[name] = held + (peak or 0)
    return {name: peaks[name] / peaks[BASELINE] for name in (FOVEATE, EQUATIONS, TIMM) if name in peaks}


def _kernel_paths(made: Ready, training: bool) -> list[PathUse]:
    """Return the kernel paths of the sites of a network as it is timed, with the reasons."""
    with torch.inference_mode(not training):
        sites = kernel_paths(made.network, made.images)
    counted = Counter((site.mechanism, site.path, site.reason) for site in sites)
    return [
        {"part": part, "path": path, "reason": reason, "sites": sites}
        for (part, path, reason), sites in counted.items()
    ]


def time_first_use(mechanism: str, device: torch.device, dtype: str) -> dict[str, float]:
    """Return the seconds of the first call in a process without any cache, and in a second process."""
    command = [sys.executable, "-c", FIRST_USE, mechanism, str(device), dtype]
    with tempfile.TemporaryDirectory() as cache:
        kept = {"NUMBA_CACHE_DIR": f"{cache}/numba", "TRITON_CACHE_DIR": f"{cache}/triton"}
        first, later = (
            subprocess.run(command, env=os.environ | kept, stdout=subprocess.PIPE, text=True, check=True)
            for _ in range(2)
        )
    return {"first": float(first.stdout), "later": float(later.stdout)}


def find_version(name: str) -> str:
    """Return the version of a package, or "not installed"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
