"""`foveate profile`: count and measure the costs of each mechanism and the baseline in one run."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from statistics import median

import torch

from foveate.evaluation.compiling import room_for, time_first_call
from foveate.evaluation.parts import time_parts
from foveate.evaluation.roofline import measure_bounds
from foveate.evaluation.step import capture_graph, inference_step
from foveate.evaluation.timing import WARM_UP, Step, Turns, compare_latencies, milliseconds, take_turns
from foveate.kernels import only_reference
from foveate.models.sites.attach import attached
from foveate.models.sites.gate import ungated
from foveate.profiling.energy import measure_networks
from foveate.profiling.networks import Counted, Ready, count_candidate, make_ready, refusals
from foveate.profiling.rows import Measured, make_row
from foveate.profiling.runtimes import Session, make_sessions, runtime_rows
from foveate.profiling.spec import ProfileSpec
from foveate.profiling.warnings import ROOM, warnings_of
from foveate.records.base import FORMAT
from foveate.records.labels import display_name
from foveate.records.profile import (
    MeasuredBounds,
    MemoryAccount,
    ProfileRecord,
    ProfileRow,
    ProfileTiming,
    ProfileWarning,
)
from foveate.studies.engine.environment import command_line, describe_environment
from foveate.studies.engine.network import describe_own_attention
from foveate.studies.engine.watch import OnProgress
from foveate.version import __version__

__all__ = ["profile"]


ROUNDS = (11, 400)
DETAIL_SECONDS, DETAIL_ROUNDS = 2.0, (5, 50)
ONE_THREAD_STEPS = 3


def profile(spec: ProfileSpec, on_progress: OnProgress = lambda *_: None) -> ProfileRecord:
    """Count and measure all candidates of `spec`.

    Figures that are not available are None. Work is per image; latency and memory are per step of the whole
    batch.

    Raises:
        RequestError: a mechanism, a network or the device does not support the settings.
        WorkError: there is not enough memory, or a network cannot be compiled.
    """
    torch.set_num_threads(spec.threads)
    if spec.device.type == "cuda" and spec.device.index is not None:
        torch.cuda.set_device(spec.device)  # events, streams and graphs are the current device's
    labels = [candidate.label for candidate in spec.attention]
    counted: dict[str, Counted] = {}
    for done, candidate in enumerate(spec.attention):
        on_progress("counting the work", done, len(labels))
        counted[candidate.label] = count_candidate(spec, candidate)
    on_progress("measuring the machine's bounds", 0, 1)
    with refusals(spec, "a matrix product"):
        bounds = measure_bounds(spec.device, spec.torch_dtype)
    with room_for(len(labels)) if spec.compile else nullcontext():
        ready, compiling = _first_calls(spec, on_progress)
        memory = _measure_memory(spec, ready, on_progress)
        sessions = make_sessions(spec, ready, on_progress)
        steps = _steps(spec, ready, sessions)
        turns = _take_turns(spec, steps, on_progress)
        with refusals(spec, "the networks"):
            energy = measure_networks(spec, steps, sessions, turns, on_progress) if spec.energy else None
    parts = _time_parts(spec, ready, on_progress) if spec.detail else {}
    latencies = compare_latencies(turns)
    energies = energy.figures if energy else {}
    rows: list[ProfileRow] = []
    for candidate in spec.attention:
        label = candidate.label
        measured = Measured(
            counted[label],
            latencies[label],
            *memory[label],
            paths=ready[label].count_kernel_paths(),
            compile_seconds=compiling.get(label),
            parts_ms=parts.get(label),
            energy=energies.get(label),
        )
        rows.append(make_row(spec, candidate, measured, baseline=rows[0] if rows else None, bounds=bounds))
    record = ProfileRecord(
        format=FORMAT,
        foveate=__version__,
        settings=spec.as_record(),
        command=command_line(),
        environment=describe_environment(spec.device, spec.threads),
        timing=ProfileTiming(
            rounds=turns.milliseconds.shape[1],
            steps_per_time=turns.steps_per_time,
            warm_up=WARM_UP,
            clock="device events" if spec.device.type == "cuda" else "wall clock",
            cpu_share=turns.cpu_share,
            plain_one_thread_ms=None,
        ),
        memory=MemoryAccount(account=_account(spec.device)),
        machine=MeasuredBounds(**vars(bounds)),
        rows=tuple(rows),
    )
    if sessions:
        record = record.model_copy(update={"runtime_rows": tuple(runtime_rows(sessions, turns, energies))})
    if energy:
        record = record.model_copy(update={"energy": energy.account})
    one_thread = _one_thread(spec, ready, record)
    timing = record.timing.model_copy(update={"plain_one_thread_ms": one_thread})
    record = record.model_copy(update={"timing": timing})
    return record.model_copy(update={"warnings": (*_own_attention(spec), *warnings_of(record))})


def _own_attention(spec: ProfileSpec) -> list[ProfileWarning]:
    own = describe_own_attention(spec.backbone, replaced=spec.replace_own)
    return [ProfileWarning(attention=None, text=own.sentence.rstrip("."))] if own else []


def _one_thread(spec: ProfileSpec, ready: dict[str, Ready], record: ProfileRecord) -> float | None:
    """Time a step of the baseline with one thread, in ms, if with several it is far from the machine's bound.

    All threads wait for one whose core another program uses. None if this cannot be the case: on another
    device, with one thread, near the bound, and for compiled networks, which fix the number of threads.
    """
    if spec.device.type != "cpu" or spec.threads == 1 or spec.compile:
        return None
    if record.arithmetic_share(record.baseline) >= ROOM:
        return None
    torch.set_num_threads(1)
    try:
        step = ready[record.baseline.attention].step
        step()
        return median(milliseconds(step, spec.device) for _ in range(ONE_THREAD_STEPS))
    finally:
        torch.set_num_threads(spec.threads)


def _first_calls(spec: ProfileSpec, on_progress: OnProgress) -> tuple[dict[str, Ready], dict[str, float]]:
    """Build every network and run one step, which raises most errors; return the times of compiling."""
    ready: dict[str, Ready] = {}
    seconds: dict[str, float] = {}
    for done, candidate in enumerate(spec.attention):
        on_progress(
            f"{'compiling' if spec.compile else 'building'} {display_name(candidate.label)}",
            done,
            len(spec.attention),
        )
        with refusals(spec, display_name(candidate.label)):
            ready[candidate.label] = made = make_ready(spec, candidate)
            if spec.compile:
                seconds[candidate.label] = time_first_call(made.step)
            else:
                made.step()
    return ready, seconds


def _measure_memory(
    spec: ProfileSpec, ready: dict[str, Ready], on_progress: OnProgress
) -> dict[str, tuple[int, int | None]]:
    """Measure the bytes held between steps, and the peak of a step above them, before graphs are captured."""
    measured = {}
    for done, (label, made) in enumerate(ready.items()):
        on_progress("measuring memory", done, len(ready))
        with refusals(spec, display_name(label)):
            measured[label] = made.measure_memory()
    return measured


def _steps(spec: ProfileSpec, ready: dict[str, Ready], sessions: Sequence[Session]) -> dict[str, Step]:
    """Return what takes turns: the steps of the networks, captured where that is asked for, and sessions."""
    steps = {label: made.step for label, made in ready.items()}
    if spec.graph:
        with refusals(spec, "the networks"):
            steps = {label: capture_graph(step, WARM_UP) for label, step in steps.items()}
    return steps | {session.name: session.step for session in sessions}


def _take_turns(spec: ProfileSpec, steps: Mapping[str, Step], on_progress: OnProgress) -> Turns:
    with refusals(spec, "the networks"):
        return take_turns(
            steps,
            spec.device,
            seconds=spec.seconds,
            rounds=ROUNDS,
            on_round=lambda done, total: on_progress("timing, in turns", done, total),
        )


def _time_parts(
    spec: ProfileSpec, ready: dict[str, Ready], on_progress: OnProgress
) -> dict[str, dict[str, float]]:
    """Time the parts of each mechanism on the reference path, run eagerly."""
    parts = {}
    for done, (label, made) in enumerate(ready.items()):
        modules = [ungated(module) for module in attached(made.network).values()]
        if modules:
            on_progress(f"timing the parts of {display_name(label)}", done, len(ready))
            step = inference_step(made.network, made.images)
            with refusals(spec, display_name(label)), only_reference():
                times = time_parts(step, modules, spec.device, seconds=DETAIL_SECONDS, rounds=DETAIL_ROUNDS)
            parts[label] = times.as_record()
    return parts


def _account(device: torch.device) -> str | None:
    accounts = {
        "cuda": "torch's CUDA allocator",
        "cpu": "torch's CPU allocator, as its profiler records it; oneDNN's own scratch memory is not in it",
    }
    return accounts.get(device.type)
