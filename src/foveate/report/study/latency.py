"""Latencies of a study's cost.json relative to the baseline's."""

from foveate.records.cost import CostRecord
from foveate.records.labels import BASELINE

__all__ = ["ratio_to_baseline"]


def ratio_to_baseline(cost: CostRecord, label: str) -> tuple[float | None, tuple[float, float] | None]:
    """Return the ratio of a network's latency to the baseline's, taken within rounds, and its 95 % interval.

    The interval is None if the ratios of the record are to another network than the baseline, and in records
    of 0.1.0; both are None if one of the two networks was not measured.
    """
    own, base = cost.rows.get(label), cost.rows.get(BASELINE)
    if own is None or base is None or own.latency_ratio is None or base.latency_ratio is None:
        return None, None
    interval = own.latency_ratio_ci95 if base.latency_ratio == 1 else None
    return own.latency_ratio / base.latency_ratio, interval
