"""A profile's record with known figures, as `foveate profile` makes it, without measuring anything."""

from typing import Any

from foveate.records.profile import ProfileRecord

RATIOS = {"se": (1.07, 1.06, 1.08), "dmsca": (2.0, 1.95, 2.05)}
"""Ratio to plain and both ends of its interval; the quartiles are half as far."""


def parse(record: dict[str, Any]) -> ProfileRecord:
    """The typed record of what `make_record` made."""
    return ProfileRecord.model_validate(record)


def make_record(
    ratios: dict[str, tuple[float, float, float]] | None = None,
    *,
    p95: float = 42.0,
    batch_size: int = 1,
    mode: str = "inference",
    parts: bool = True,
) -> dict[str, Any]:
    """Plain takes 40 ms; each further mechanism costs ten times what the one before it does."""
    ratios = RATIOS if ratios is None else ratios
    rows = [_row("none", 0, (1.0, 1.0, 1.0), p95, parts)]
    rows += [
        _row(label, 10**index, ratio, 45.0, parts) for index, (label, ratio) in enumerate(ratios.items(), 1)
    ]
    return {
        "format": 1,
        "foveate": "0.1.0",
        "settings": {
            "backbone": "resnet50",
            "attention": [row["attention"] for row in rows],
            "image_size": 224,
            "channels": 3,
            "classes": 1000,
            "batch_size": batch_size,
            "device": "cpu",
            "dtype": "float32",
            "memory_format": "channels_last",
            "mode": mode,
            "compile": False,
            "graph": False,
            "path": "auto",
            "threads": 2,
            "detail": parts,
            "seconds": 30.0,
        },
        "command": "foveate profile --backbone resnet50 --attention se,dmsca",
        "environment": {"torch": "2.15.0", "processor": "AMD EPYC", "threads": 2, "accelerator": "cpu"},
        "timing": {"rounds": 25, "steps_per_time": 1, "warm_up": 3, "clock": "wall clock"},
        "memory": {"account": "torch's CPU allocator"},
        "machine": {"flops": 1e11, "bandwidth": 2e10, "matrix_side": 1024, "array_bytes": 2**27},
        "rows": rows,
        "warnings": [],
    }


def _row(
    label: str, cost: float, ratio: tuple[float, float, float], p95: float, parts: bool
) -> dict[str, Any]:
    middle, low, high = ratio
    row: dict[str, Any] = {
        "attention": label,
        "sites": 16 if cost else 0,
        "paths": {"numba": 16} if cost else {},
    }
    bases = {"parameters": 25e6, "macs": 4e9, "element_wise": 3e7, "bytes_moved": 4e8, "peak_bytes": 1e8}
    for key, base in bases.items():
        added = base * cost / 1000
        row |= {key: base + added, f"{key}_added": added, f"{key}_increase_percent": cost / 10}
    row |= {
        "latency_ms_p50": 40 * middle,
        "latency_ms_p95": p95 * middle,
        "latency_ratio": middle,
        "latency_ratio_quartiles": [(middle + low) / 2, (middle + high) / 2],
        "latency_ratio_ci95": [low, high],
        "latency_added_ms": 40 * (middle - 1),
        "images_per_second": 25 / middle,
        "compile_seconds": None,
        "parts_ms": {"gce": 3.0, "the rest": 1.0, "in total": 4.0} if parts and cost else None,
        "roofline": None,
    }
    if cost:
        memory_ms = 4e8 * cost / 1000 / 2e10 * 1e3
        row["roofline"] = {
            "bound": "memory",
            "memory_ms": memory_ms,
            "arithmetic_ms": 0.01,
            "added_over_bound": 40 * (middle - 1) / memory_ms,
            "least_reads_writes": [3, 1],
            "least_bytes": 4e6,
            "least_ms": 0.2,
            "added_over_least": 40 * (middle - 1) / 0.2,
        }
    return row
