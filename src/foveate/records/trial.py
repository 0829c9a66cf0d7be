"""The record of a trial of a search."""

from pydantic import Field

from foveate.records.base import Number, Record, Switch
from foveate.records.metric import Metric

__all__ = ["TRIAL", "TrialRecord"]

TRIAL = "trial.json"


class TrialRecord(Record):
    """OUT/search/ID/trial.json, written and read by `foveate sweep --search`.

    Attributes:
        accuracies: the validation value of the primary metric after each epoch.
        pruned: whether the pruner ended the trial early.
        seconds: of its training.
    """

    accuracies: tuple[Number, ...] = Field(min_length=1)
    pruned: Switch
    seconds: Number

    def best(self, metric: Metric) -> float:
        """Return the best value."""
        return max(self.accuracies, key=lambda value: metric.sign * value)
