"""Latencies of a study's cost.json: what each adds to plain, and whether the measurement can be relied on."""

from collections.abc import Mapping
from typing import Any

from foveate.evaluation.noise import BUSY, Noise, Times, find_noise
from foveate.records.study import PLAIN
from foveate.report.core.notation import display_name

__all__ = ["noise_in_words", "noise_of_cost", "noise_of_rows", "ratio_to_plain"]

Row = Mapping[str, Any]
LATENCY = ("latency_ms_p50", "latency_ms_p95", "latency_ratio")


def noise_of_rows(rows: Mapping[str, Row], reference: str, cpu_share: float | None) -> list[Noise]:
    """Find what speaks against latencies; `rows` by label have the keys of a profile's and of cost.json's."""
    times = {label: Times(*(row[key] for key in LATENCY)) for label, row in rows.items()}
    return find_noise(times, reference, cpu_share)


def noise_of_cost(rows: Mapping[str, Row], timing: Mapping[str, Any]) -> list[Noise]:
    """Find what speaks against the latencies of cost.json; nothing where there are none.

    0.1.0 recorded no "timing", and its ratios are to the first of the rows.
    """
    measured = {label: row for label, row in rows.items() if all(row.get(key) for key in LATENCY)}
    if not measured:
        return []
    reference = timing.get("reference", next(iter(measured)))
    return noise_of_rows(measured, reference, timing.get("cpu_share"))


def noise_in_words(noise: Noise) -> str:
    """Say what speaks against a measurement, without a full stop."""
    name = display_name(noise.label)
    factor = f"{noise.factor:.2f} times"
    if noise.kind == "unsteady":
        return f"{name}'s own p95 is {factor} its p50 (over {BUSY})"
    if noise.kind == "shared":
        return f"the measurement took {factor} as long as a core worked for it (over {BUSY})"
    return f"the medians of {name} and plain differ by {factor} what they do within rounds (over {BUSY})"


def ratio_to_plain(rows: Mapping[str, Row], label: str) -> tuple[float | None, list[float] | None]:
    """Return the ratio of a network's latency to plain's, taken within rounds, and its 95 % interval.

    The interval is None where the ratios of the record are to another network than plain, and in records of
    0.1.0; both are None where one of the two was not measured.
    """
    own, plain = (rows.get(name, {}).get("latency_ratio") for name in (label, PLAIN))
    if own is None or plain is None:
        return None, None
    return own / plain, rows[label].get("latency_ratio_ci95") if plain == 1 else None
