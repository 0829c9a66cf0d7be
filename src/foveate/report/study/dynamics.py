"""How a training went, in numbers that are computed from the epochs of one run."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import stdev
from typing import NamedTuple

from foveate.evaluation.intervals import AMOUNT, SHARE, Bounds
from foveate.records.metric import Metric
from foveate.records.run import Epoch, waiting_share
from foveate.records.study import StudyRecords

__all__ = ["DYNAMICS", "LearnedNumber", "epochs_to_95", "fluctuation", "learned_numbers"]

NEAR_THE_END = 0.95
"""The share of the last epoch's value that counts as having learned."""


def epochs_to_95(epochs: Sequence[Epoch], metric: Metric) -> int:
    """Return the first epoch whose validation value reaches 95 % of the last epoch's.

    Where lower is better: the first whose value is at most the last over 0.95.
    """
    last = epochs[-1].validation(metric)
    enough = NEAR_THE_END * last if metric.higher_is_better else last / NEAR_THE_END
    reached = (epoch.epoch for epoch in epochs if metric.sign * (epoch.validation(metric) - enough) >= 0)
    return next(reached, epochs[-1].epoch)  # a negative last value lies beyond its own 95 %


def fluctuation(epochs: Sequence[Epoch], metric: Metric) -> float | None:
    """Return the standard deviation of the validation values over the last tenth of the epochs, rounded up.

    None where that is a single epoch: of ten epochs or fewer.
    """
    last = [epoch.validation(metric) for epoch in epochs[-math.ceil(len(epochs) / 10) :]]
    return stdev(last) if len(last) > 1 else None


def _input_share(epochs: Sequence[Epoch], _: Metric) -> float | None:
    return waiting_share(epochs)


DYNAMICS: dict[str, tuple[Callable[[Sequence[Epoch], Metric], float | None], Bounds]] = {
    "epochs_to_95": (epochs_to_95, Bounds(low=1)),
    "fluctuation": (fluctuation, AMOUNT),
    "input_share": (_input_share, SHARE),
}
"""What the summary describes over seeds, by its field there, and the bounds of its values."""


class LearnedNumber(NamedTuple):
    """A number that the attention at a site had learned after an epoch of a run; a row of learned.csv."""

    attention: str
    seed: int
    epoch: int
    site: str
    number: str
    value: float


def learned_numbers(records: StudyRecords) -> Iterator[LearnedNumber]:
    """Give what the attention at each site had learned after each epoch of each run."""
    for label, seed, run in records.runs():
        for epoch in run.epochs:
            for site, numbers in epoch.learned.items():
                for name, value in numbers.items():
                    yield LearnedNumber(label, seed, epoch.epoch, site, name, value)
