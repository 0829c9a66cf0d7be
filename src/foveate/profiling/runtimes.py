"""The networks of a profile in another runtime: exported, perhaps quantised, and timed in the same turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from foveate.evaluation.timing import Turns, latency_beside
from foveate.models.export.build import build, build_reduced
from foveate.models.export.exported import Exported
from foveate.models.export.precision import Precision
from foveate.models.export.runtimes import load_file, require_runtime
from foveate.profiling.networks import Ready
from foveate.profiling.spec import CALIBRATION_IMAGES, ProfileSpec
from foveate.records.energy import EnergyFigures
from foveate.records.labels import BASELINE, display_name
from foveate.records.profile import RuntimeRow
from foveate.studies.engine.watch import OnProgress

__all__ = ["Session", "baseline_sessions", "make_sessions", "runtime_rows"]


@dataclass(frozen=True)
class Session:
    """An exported network in a runtime: its name within the turns, and one step of it."""

    name: str
    label: str
    runtime: str
    precision: str
    about: Exported
    step: Callable[[], object]


def make_sessions(spec: ProfileSpec, ready: Mapping[str, Ready], on_progress: OnProgress) -> list[Session]:
    """Export each network in each precision of `spec`, and load it with the threads of the profile.

    Raises:
        RequestError: a runtime is not installed.
        WorkError: a network cannot be exported, or its file does not agree with it.
    """
    for runtime in spec.runtime:
        require_runtime(runtime)
    sessions = []
    for done, (label, made) in enumerate(ready.items() if spec.precisions else ()):
        on_progress(f"exporting {display_name(label)}", done, len(ready))
        built = build(made.network, "onnx", image_size=spec.image_size)
        for runtime in spec.runtime:
            for precision in spec.precisions:
                content, about, _ = build_reduced(built, _precision(spec, precision))
                step = _step(spec, runtime, made, content, about)
                name = f"{label} in {runtime} {precision}"
                sessions.append(Session(name, label, runtime, precision, about, step))
    return sessions


def _precision(spec: ProfileSpec, name: str) -> Precision:
    if name != "int8":
        return Precision(name)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(CALIBRATION_IMAGES, *spec.input_shape[1:], generator=generator)
    return Precision(name, images, spec.quantise_gates)


def _step(
    spec: ProfileSpec, runtime: str, made: Ready, content: bytes, about: Exported
) -> Callable[[], object]:
    run = load_file(runtime, content, [output.name for output in about.outputs], spec.threads)
    return partial(run, made.images.contiguous().numpy())


def baseline_sessions(sessions: Sequence[Session]) -> dict[str, str]:
    """Return for each session's name that of the baseline in the same runtime and precision."""
    baselines = {(one.runtime, one.precision): one.name for one in sessions if one.label == BASELINE}
    return {one.name: baselines[one.runtime, one.precision] for one in sessions}


def runtime_rows(
    sessions: Sequence[Session], turns: Turns, energies: Mapping[str, EnergyFigures]
) -> list[RuntimeRow]:
    """Return the rows of `sessions`, each beside its network in torch and beside the baseline's session."""
    baselines = baseline_sessions(sessions)
    return [_row(one, turns, baselines[one.name], energies.get(one.name)) for one in sessions]


def _row(one: Session, turns: Turns, baseline: str, energy: EnergyFigures | None) -> RuntimeRow:
    eager, beside = latency_beside(turns, one.name, one.label), latency_beside(turns, one.name, baseline)
    gates = one.about.gates
    row = RuntimeRow(
        attention=one.label,
        runtime=one.runtime,
        precision=one.precision,
        gates=gates.precision if gates and gates.sites else None,
        bytes=one.about.bytes,
        latency_ms_p50=eager.p50,
        latency_ms_p95=eager.p95,
        eager_ratio=eager.ratio,
        eager_ratio_quartiles=eager.quartiles,
        eager_ratio_ci95=eager.interval,
        latency_ratio=beside.ratio,
        latency_ratio_quartiles=beside.quartiles,
        latency_ratio_ci95=beside.interval,
    )
    return row.model_copy(update={"energy": energy}) if energy else row
