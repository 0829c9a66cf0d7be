"""Whether latencies that were measured beside each other can be relied on: one check for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from foveate.records.cost import CostRecord
from foveate.records.labels import display_name

__all__ = ["BUSY", "Kind", "Noise", "Times", "describe_noise", "find_noise", "noise_of_cost", "worst_factor"]

BUSY = 1.25
"""How many times longer than on a quiet machine something may take before the machine counts as busy."""

Kind = Literal["unsteady", "shared", "apart"]


class Times(NamedTuple):
    """Of one network: p50 and p95 in ms, and the median of its ratios to the reference within rounds."""

    p50: float
    p95: float
    ratio: float


@dataclass(frozen=True)
class Noise:
    """What speaks against a measurement, and by which factor, which is over `BUSY`.

    * unsteady: the reference's own p95 over its p50;
    * shared: the wall clock's time over what a core worked for this process meanwhile;
    * apart: the ratio of the medians of `label` and the reference, over the median of their ratios within the
      rounds, or the other way round: the two medians are of different states of the machine.
    """

    kind: Kind
    label: str
    factor: float


def find_noise(times: Mapping[str, Times], reference: str, cpu_share: float | None) -> list[Noise]:
    """Find all that speaks against a measurement, the worst first; nothing of a quiet machine's.

    Args:
        times: of each network by its label; `reference` is the label that the ratios are to.
        cpu_share: the share of the measurement's time for which this thread had a core; None is not known.
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
    """Return the largest factor of what `find_noise` found, 1 where it found nothing."""
    return max((one.factor for one in noise), default=1.0)


def describe_noise(noise: Noise) -> str:
    """Return what speaks against a measurement in words, without a full stop."""
    name = display_name(noise.label)
    factor = f"{noise.factor:.2f} times"
    if noise.kind == "unsteady":
        return f"{name}'s own p95 is {factor} its p50 (over {BUSY})"
    if noise.kind == "shared":
        return f"the measurement took {factor} as long as a core worked for it (over {BUSY})"
    return f"the medians of {name} and plain differ by {factor} what they do within rounds (over {BUSY})"
