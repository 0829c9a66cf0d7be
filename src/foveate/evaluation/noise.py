"""Whether latencies that were measured side by side can be trusted: the one check for noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from foveate.records.cost import CostRecord
from foveate.records.labels import name_in_sentence

__all__ = ["BUSY", "Kind", "Noise", "Times", "describe_noise", "find_noise", "noise_of_cost", "worst_factor"]

BUSY = 1.25
"""The factor by which a time may exceed that of a quiet machine before the machine counts as busy."""

Kind = Literal["unsteady", "shared", "apart"]


class Times(NamedTuple):
    """Latency of one network: p50 and p95 in ms, and the median ratio to the reference within a round."""

    p50: float
    p95: float
    ratio: float


@dataclass(frozen=True)
class Noise:
    """One sign of noise in a measurement; its factor is above `BUSY`.

    * unsteady: the reference's p95 divided by its p50;
    * shared: the wall-clock time divided by the time for which a core worked for this thread;
    * apart: the ratio of the medians of `label` and the reference, divided by the median of their ratios
      within the rounds, or the inverse: the two medians belong to different states of the machine.
    """

    kind: Kind
    label: str
    factor: float


def find_noise(times: Mapping[str, Times], reference: str, cpu_share: float | None) -> list[Noise]:
    """Return all signs of noise in a measurement, the worst first; none on a quiet machine.

    Args:
        times: of each network by its label; `reference` is the label to which the ratios refer.
        cpu_share: the share of the measured time for which this thread had a core; None if it is unknown.
    """
    base = times[reference]
    found = [Noise("unsteady", reference, base.p95 / base.p50)]
    if cpu_share is not None:
        found.append(Noise("shared", reference, 1 / max(cpu_share, 1e-3)))
    for label, one in times.items():
        apart = (one.p50 / base.p50) / (one.ratio / base.ratio)
        found.append(Noise("apart", label, max(apart, 1 / apart)))
    return sorted((noise for noise in found if noise.factor > BUSY), key=lambda noise: -noise.factor)


def noise_of_cost(cost: CostRecord) -> list[Noise]:
    """Find all that speaks against the latencies of cost.json; nothing where there are none.

    0.1.0 recorded no timing, and its ratios are to the first of the rows.
    """
    times = {
        label: Times(row.latency_ms_p50, row.latency_ms_p95, row.latency_ratio)
        for label, row in cost.rows.items()
        if row.latency_ms_p50 and row.latency_ms_p95 and row.latency_ratio
    }
    if not times:
        return []
    reference = cost.timing.reference if cost.timing else next(iter(times))
    return find_noise(times, reference, cost.timing.cpu_share if cost.timing else None)


def worst_factor(noise: Sequence[Noise]) -> float:
    """Return the largest factor of the signs that `find_noise` returned, 1 without any."""
    return max((one.factor for one in noise), default=1.0)


def describe_noise(noise: Noise) -> str:
    """Return what speaks against a measurement in words, without a full stop."""
    name = name_in_sentence(noise.label)
    factor = f"{noise.factor:.2f} times"
    if noise.kind == "unsteady":
        return f"{name}'s own p95 is {factor} its p50 (over {BUSY})"
    if noise.kind == "shared":
        return f"the measurement took {factor} as long as a core worked for it (over {BUSY})"
    return (
        f"the medians of {name} and the baseline differ by {factor} what they do within rounds (over {BUSY})"
    )
