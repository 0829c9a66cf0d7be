"""The rows of a profile: the figures of each network, their increase over the baseline, and its bounds."""

from dataclasses import dataclass

from foveate.evaluation.roofline import MachineBounds
from foveate.evaluation.timing import Latency
from foveate.profiling.networks import Counted
from foveate.profiling.spec import ProfileSpec
from foveate.records.energy import EnergyFigures
from foveate.records.profile import ProfileRow, Roofline
from foveate.studies.spec.candidate import Candidate

__all__ = ["Measured", "make_row"]

LEAST_PASSES = {
    "se": (2, 1),
    "eca": (2, 1),
    "ca": (2, 1),
    "simam": (2, 1),
    "cbam": (3, 1),
    "dmsca": (3, 1),
}
"""Reads and writes of its map that a mechanism needs if the map is larger than the caches: one read for each
statistic that depends on the one before, one read to weight the map, and one write."""


@dataclass(frozen=True)
class Measured:
    """The figures of one network.

    `held_bytes` are held between steps, `step_peak_bytes` are allocated on top of them within a step.
    """

    counted: Counted
    latency: Latency
    held_bytes: int
    step_peak_bytes: int | None
    paths: dict[str, int]
    compile_seconds: float | None
    parts_ms: dict[str, float] | None
    energy: EnergyFigures | None


def make_row(
    spec: ProfileSpec,
    candidate: Candidate,
    measured: Measured,
    *,
    baseline: ProfileRow | None,
    bounds: MachineBounds,
) -> ProfileRow:
    """Make the row of a network; `baseline` is the row of the baseline, None for the baseline itself."""
    counted, latency = measured.counted, measured.latency
    step_peak = measured.step_peak_bytes
    figures = {
        "parameters": counted.parameters,
        "macs": counted.work.multiply_adds / spec.batch_size,
        "element_wise": counted.work.element_wise / spec.batch_size,
        "bytes_moved": counted.work.bytes_moved / spec.batch_size,
        "peak_bytes": None if step_peak is None else measured.held_bytes + step_peak,
    }
    costs: dict[str, float | None] = {}
    for name, value in figures.items():
        base = value if baseline is None else baseline.cost(name).value
        added = None if value is None or base is None else value - base
        costs[name], costs[f"{name}_added"] = value, added
        costs[f"{name}_increase_percent"] = 100 * added / base if added is not None and base else None
    # From the ratios within rounds: the difference of the medians would include drift between rounds.
    base_ms = latency.p50 if baseline is None else baseline.latency_ms_p50
    row = ProfileRow.model_validate(
        {
            "attention": candidate.label,
            "sites": counted.sites,
            **costs,
            "held_bytes": measured.held_bytes,
            "step_peak_bytes": step_peak,
            "latency_ms_p50": latency.p50,
            "latency_ms_p95": latency.p95,
            "latency_ratio": latency.ratio,
            "latency_ratio_quartiles": latency.quartiles,
            "latency_ratio_ci95": latency.interval,
            "latency_added_ms": (latency.ratio - 1) * base_ms,
            "images_per_second": 1e3 * spec.batch_size / latency.p50,
            "roofline": None,
            "paths": measured.paths,
            "compile_seconds": measured.compile_seconds,
            "parts_ms": measured.parts_ms,
            **({"energy": measured.energy} if measured.energy else {}),
        }
    )
    if baseline is None:
        return row
    return row.model_copy(update={"roofline": _roofline(spec, candidate.name, counted, row, bounds)})


def _roofline(
    spec: ProfileSpec, name: str, counted: Counted, row: ProfileRow, bounds: MachineBounds
) -> Roofline:
    """Compute the shortest times that the added work of a batch allows, and the distance from them."""
    flops = spec.batch_size * (2 * row.macs_added + row.element_wise_added)
    by_arithmetic = 1e3 * flops / bounds.flops
    by_memory = 1e3 * spec.batch_size * row.bytes_moved_added / bounds.bandwidth
    bound = max(by_arithmetic, by_memory)
    passes = LEAST_PASSES.get(name) if spec.mode == "inference" else None
    least_bytes = sum(passes) * counted.site_bytes if passes else None
    least = None if least_bytes is None else max(1e3 * least_bytes / bounds.bandwidth, by_arithmetic)
    added = row.latency_added_ms
    return Roofline(
        bound="memory" if by_memory >= by_arithmetic else "arithmetic",
        memory_ms=by_memory,
        arithmetic_ms=by_arithmetic,
        added_over_bound=added / bound if bound > 0 else None,
        least_reads_writes=passes,
        least_bytes=least_bytes,
        least_ms=least,
        added_over_least=added / least if least else None,
    )
