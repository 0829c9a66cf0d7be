"""Latencies of a study's cost.json relative to the baseline's, and how they were measured."""

from collections.abc import Sequence

from foveate.records.cost import CostRecord
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.paired import PairedLatency
from foveate.report.study.summary import SummaryRow

__all__ = ["measured_with", "paired_latencies", "ratio_to_baseline"]


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


def paired_latencies(rows: Sequence[SummaryRow]) -> list[PairedLatency]:
    """Return the latency of each candidate whose p50 and ratio to the baseline were measured."""
    base = next((row.price.latency_ms_p50 for row in rows if row.attention == BASELINE), None)
    return [
        PairedLatency(display_name(row.attention), row.price.latency_ms_p50, base, row.price.latency_ratio)
        for row in rows
        if base and row.attention != BASELINE and row.price.latency_ms_p50 and row.price.latency_ratio
    ]


def measured_with(cost: CostRecord, noise: Sequence[str]) -> list[tuple[str, object]]:
    """Return how the costs were measured, key by key in words; earlier versions recorded less."""
    said: list[tuple[str, object]] = [("device", cost.device), ("images in a pass", cost.batch_size)]
    if (under := cost.conditions) is not None:
        said += [
            ("size of the input, images × channels × height × width", " × ".join(map(str, under.input))),
            ("classes", under.classes),
            ("kernel path of the mechanisms", under.path),
        ]
    if (timing := cost.timing) is not None:
        said += [
            ("ratios of latencies are to", display_name(timing.reference)),
            ("rounds, in each of which all networks take turns", timing.rounds),
        ]
        if timing.cpu_share is not None:
            said.append(
                ("share of the time in which a core worked for it", f"{100 * timing.cpu_share:.1f} %")
            )
    return [*said, ("what speaks against the latencies", "; ".join(noise) or "nothing that was found")]
