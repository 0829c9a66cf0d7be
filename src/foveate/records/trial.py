"""The record of a trial, of a search or of the tuning that comes before a study."""

from pathlib import Path

from pydantic import model_validator

from foveate.records.base import Count, Number, Record, Switch, Text, reading
from foveate.records.metric import Metric

__all__ = ["TRIAL", "TrialRecord", "read_trial"]

TRIAL = "trial.json"


class TrialRecord(Record):
    """OUT/search/ID/trial.json, written and read by `foveate sweep --search` and `foveate compare --tune`.

    Attributes:
        accuracies: the validation value of the primary metric after each epoch.
        pruned: whether the pruner ended the trial early.
        seconds: of its training.
        chosen_epoch: the epoch whose weights the recipe chooses; absent in a trial of a search.
        error: why the trial of a tuning failed; absent if it did not.
    """

    accuracies: tuple[Number, ...]
    pruned: Switch
    seconds: Number
    chosen_epoch: Count | None = None
    error: Text | None = None

    @model_validator(mode="after")
    def _check_epochs(self) -> "TrialRecord":
        if not self.accuracies and self.error is None:
            raise ValueError("a trial without an error has accuracies")
        if self.chosen_epoch is not None and not 1 <= self.chosen_epoch <= len(self.accuracies):
            raise ValueError(f"chosen_epoch {self.chosen_epoch} is none of {len(self.accuracies)} epochs")
        return self

    def best(self, metric: Metric) -> float:
        """Return the best value."""
        return max(self.accuracies, key=lambda value: metric.sign * value)

    @property
    def chosen(self) -> float | None:
        """The value with the weights that the recipe chooses; None if the trial failed."""
        return None if self.chosen_epoch is None else self.accuracies[self.chosen_epoch - 1]


def read_trial(path: Path) -> TrialRecord:
    """Read the record of a trial at `path`; raises RequestError if it is not valid."""
    with reading(path):
        return TrialRecord.model_validate_json(path.read_text(encoding="utf-8"))
