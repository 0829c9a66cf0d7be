"""How trainings went, in numbers of one run each, from the rows of its epochs."""

import math
from collections.abc import Callable, Iterator
from statistics import fmean, stdev
from typing import Any

from foveate.evaluation.intervals import AMOUNT, SHARE, Bounds
from foveate.records.study import Records

__all__ = ["DYNAMICS", "epochs_to_95", "fluctuation", "learned_numbers", "waiting_share"]

Epochs = list[dict[str, Any]]


def epochs_to_95(epochs: Epochs) -> int:
    """The first epoch whose validation accuracy reaches 95 % of the last epoch's."""
    enough = 0.95 * epochs[-1]["validation_accuracy"]
    return next(epoch["epoch"] for epoch in epochs if epoch["validation_accuracy"] >= enough)


def fluctuation(epochs: Epochs) -> float | None:
    """Standard deviation of the validation accuracy over the last tenth of the epochs, rounded up.

    None where that is a single epoch: of ten epochs or fewer.
    """
    last = [epoch["validation_accuracy"] for epoch in epochs[-math.ceil(len(epochs) / 10) :]]
    return stdev(last) if len(last) > 1 else None


def waiting_share(epochs: Epochs) -> float | None:
    """Mean share of an epoch's training that waited for images; None where no epoch has it recorded."""
    shares = [epoch["input_share"] for epoch in epochs if "input_share" in epoch]
    return fmean(shares) if shares else None


DYNAMICS: dict[str, tuple[Callable[[Epochs], float | None], Bounds]] = {
    "epochs_to_95": (epochs_to_95, Bounds(low=1)),
    "fluctuation": (fluctuation, AMOUNT),
    "input_share": (waiting_share, SHARE),
}
"""What the summary describes over seeds, by its key there, and the bounds of its values."""


def learned_numbers(records: Records) -> Iterator[dict[str, Any]]:
    """Give what each site's attention had learned after each epoch of each run, one number a row."""
    for label in records.finished:
        for seed in sorted(records.results[label]):
            for epoch in records.results[label][seed]["epochs"]:
                for site, numbers in epoch.get("learned", {}).items():
                    for name, value in numbers.items():
                        row = {"attention": label, "seed": seed, "epoch": epoch["epoch"]}
                        yield row | {"site": site, "number": name, "value": value}
