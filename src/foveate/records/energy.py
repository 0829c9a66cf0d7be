"""The records of energy within a profile: what was counted, and the figures of each network."""

from foveate.records.base import Count, Number, Record, Text

__all__ = ["EnergyAccount", "EnergyFigures"]

Interval = tuple[Number, Number]


class EnergyFigures(Record):
    """The energy of one network, each figure a median over the rounds.

    Attributes:
        joules_per_1000_images: of everything that the counters see while it runs, idle power included.
        added_joules: per 1,000 images, over the baseline, by the ratio.
        ratio: to the baseline within rounds; to that in the same runtime and precision, for another runtime.
        ratio_quartiles: the middle half of the ratios.
        ratio_ci95: the 95 % interval of the ratio; None with fewer than 6 rounds.
        watts: mean power while it runs.
        steps: steps in a window.
    """

    joules_per_1000_images: Number
    added_joules: Number
    ratio: Number
    ratio_quartiles: Interval
    ratio_ci95: Interval | None
    watts: Number
    steps: Count


class EnergyAccount(Record):
    """How energy was measured, or, where it was asked for and could not be, why not.

    Attributes:
        missing: the reason, and what to do; absent where energy was measured, and the only field otherwise.
        counter: the interface, and what it counts.
        rounds: number of rounds, in each of which every network has a window.
        window_seconds: the least length of a window.
        idle_watts: power while nothing of this program ran, before the first round. It is not subtracted.
    """

    missing: Text | None = None
    counter: Text | None = None
    rounds: Count | None = None
    window_seconds: Number | None = None
    idle_watts: Number | None = None
