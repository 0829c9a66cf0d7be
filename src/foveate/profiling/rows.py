"""The rows of a profile: each network's figures, what they add to plain, and the bounds of what is added."""

from dataclasses import dataclass
from typing import Any

from foveate.evaluation.roofline import Bounds
from foveate.evaluation.timing import Latency
from foveate.profiling.networks import Counted
from foveate.profiling.spec import ProfileSpec
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
"""Reads and writes of its map that a mechanism needs where the map is larger than the caches: one read for
each statistic that the next one waits for, one to weigh the map, and the write."""


@dataclass(frozen=True)
class Measured:
    """Of one network: `held_bytes` between steps, `step_peak_bytes` on top of them within one."""

    counted: Counted
    latency: Latency
    held_bytes: int
    step_peak_bytes: int | None


def make_row(
    spec: ProfileSpec,
    candidate: Candidate,
    measured: Measured,
    *,
    plain: dict[str, Any] | None,
    bounds: Bounds,
) -> dict[str, Any]:
    """Make the row of a network beside that of plain, which has None there.

    Work is of one image, latency and memory are of one step of the whole batch. `peak_bytes` is all that this
    network alone has allocated at the peak of a step.
    """
    counted, latency = measured.counted, measured.latency
    step_peak = measured.step_peak_bytes
    figures: dict[str, Any] = {
        "parameters": counted.parameters,
        "macs": counted.work.multiply_adds / spec.batch_size,
        "element_wise": counted.work.element_wise / spec.batch_size,
        "bytes_moved": counted.work.bytes_moved / spec.batch_size,
        "peak_bytes": None if step_peak is None else measured.held_bytes + step_peak,
    }
    row: dict[str, Any] = {"attention": candidate.label, "sites": counted.sites}
    for name, value in figures.items():
        base = value if plain is None else plain[name]
        added = None if value is None else value - base
        row[name], row[f"{name}_added"] = value, added
        row[f"{name}_increase_percent"] = 100 * added / base if added is not None and base else None
    row |= {"held_bytes": measured.held_bytes, "step_peak_bytes": step_peak}
    row |= {
        "latency_ms_p50": latency.p50,
        "latency_ms_p95": latency.p95,
        "latency_ratio": latency.ratio,
        "latency_ratio_quartiles": list(latency.quartiles),
        "latency_ratio_ci95": list(latency.interval) if latency.interval else None,
        # By the ratios, taken within rounds: the difference of the medians would add the drift between them.
        "latency_added_ms": (latency.ratio - 1) * (latency.p50 if plain is None else plain["latency_ms_p50"]),
        "images_per_second": 1e3 * spec.batch_size / latency.p50,
    }
    return row | {
        "roofline": None if plain is None else _roofline(spec, candidate.name, counted, row, bounds)
    }


def _roofline(
    spec: ProfileSpec, name: str, counted: Counted, row: dict[str, Any], bounds: Bounds
) -> dict[str, Any]:
    """The least times that the added work of a batch allows on this machine, and how far it is from them."""
    flops = spec.batch_size * (2 * row["macs_added"] + row["element_wise_added"])
    by_arithmetic = 1e3 * flops / bounds.flops
    by_memory = 1e3 * spec.batch_size * row["bytes_moved_added"] / bounds.bandwidth
    bound = max(by_arithmetic, by_memory)
    passes = LEAST_PASSES.get(name) if spec.mode == "inference" else None
    least_bytes = sum(passes) * counted.site_bytes if passes else None
    least = None if least_bytes is None else max(1e3 * least_bytes / bounds.bandwidth, by_arithmetic)
    added = row["latency_added_ms"]
    return {
        "bound": "memory" if by_memory >= by_arithmetic else "arithmetic",
        "memory_ms": by_memory,
        "arithmetic_ms": by_arithmetic,
        "added_over_bound": added / bound if bound > 0 else None,
        "least_reads_writes": list(passes) if passes else None,
        "least_bytes": least_bytes,
        "least_ms": least,
        "added_over_least": added / least if least else None,
    }
