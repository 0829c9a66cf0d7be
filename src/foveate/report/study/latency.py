"""Latencies of a study's cost.json: what each adds to the baseline, and what speaks against measurements."""

from foveate.evaluation.noise import BUSY, Noise
from foveate.records.cost import CostRecord
from foveate.records.labels import BASELINE, display_name

__all__ = ["noise_in_words", "ratio_to_baseline"]


def noise_in_words(noise: Noise) -> str:
    """Say what speaks against a measurement, without a full stop."""
    name = display_name(noise.label)
    factor = f"{noise.factor:.2f} times"
    if noise.kind == "unsteady":
        return f"{name}'s own p95 is {factor} its p50 (over {BUSY})"
    if noise.kind == "shared":
        return f"the measurement took {factor} as long as a core worked for it (over {BUSY})"
    return f"the medians of {name} and plain differ by {factor} what they do within rounds (over {BUSY})"


def ratio_to_baseline(cost: CostRecord, label: str) -> tuple[float | None, tuple[float, float] | None]:
    """Return the ratio of a network's latency to the baseline's, taken within rounds, and its 95 % interval.

    The interval is None where the ratios of the record are to another network than the baseline, and in
    records of 0.1.0; both are None where one of the two was not measured.
    """
    own, base = cost.rows.get(label), cost.rows.get(BASELINE)
    if own is None or base is None or own.latency_ratio is None or base.latency_ratio is None:
        return None, None
    interval = own.latency_ratio_ci95 if base.latency_ratio == 1 else None
    return own.latency_ratio / base.latency_ratio, interval
