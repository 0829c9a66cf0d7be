"""Why a percentage of latency is not the quotient of the two p50s beside it, in words."""

from collections.abc import Sequence
from typing import NamedTuple

from foveate.notation import signed_percent

__all__ = ["RATIO_NOTE", "PairedLatency", "paired_sentence"]

RATIO_NOTE = "the median of the ratios within rounds, not the quotient of the two p50s"


class PairedLatency(NamedTuple):
    """The p50 of a network, its baseline's, and the median of the ratios of the two within rounds."""

    name: str
    p50: float
    baseline_p50: float
    ratio: float

    @property
    def percents(self) -> tuple[float, float]:
        """The change to the baseline in per cent, by the ratios and by the two p50s."""
        return 100 * (self.ratio - 1), 100 * (self.p50 / self.baseline_p50 - 1)


def paired_sentence(latencies: Sequence[PairedLatency]) -> str:
    """Say how percentages of latency come about, and where they differ most from the p50s; "" of none."""
    if not latencies:
        return ""
    most = max(latencies, key=lambda one: abs(one.percents[0] - one.percents[1]))
    by_ratios, by_p50s = map(signed_percent, most.percents)
    here = (
        f"Most apart are the two here for {most.name}: {by_ratios} by the ratios, {by_p50s} by the p50s."
        if by_ratios != by_p50s
        else "Here the two are the same in all digits shown."
    )
    return (
        "A change in latency is the median of the ratios to the baseline, each taken within a round, in "
        "which all networks take turns: a slow moment of the machine slows both, and their ratio stays. A "
        "p50 is a median over all rounds, of one network alone, so the quotient of two p50s can be another "
        "number. "
        f"{here}"
    )
