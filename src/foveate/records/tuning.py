"""What each candidate of a study got before its seeds began: a part of study.json, absent without --tune."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from foveate.records.base import Count, Number, Text, WholeRecord

__all__ = ["Proposal", "TunedCandidate", "Tuning", "TuningTrial"]

Span = tuple[Number, Number]


class Proposal(WholeRecord):
    """What one trial of every candidate trains with.

    Attributes:
        learning_rate: the peak, as in the recipe.
        weight_decay: as in the recipe.
        options: values of options, as a person writes them; a candidate takes those that it has. The first
            proposal has none: it is the recipe's own values, and each mechanism as it was given.
    """

    learning_rate: Annotated[Number, Field(gt=0)]
    weight_decay: Annotated[Number, Field(ge=0)]
    options: dict[Text, Text] = Field(default_factory=dict)


class TuningTrial(WholeRecord):
    """One trial of a candidate, by the proposal of the same number.

    Attributes:
        number: of its proposal, from 0.
        validation: the primary metric on the validation part, with the weights that the recipe chooses; None
            if the trial failed.
        epochs: how many it trained.
        state: whether it ended or failed.
    """

    number: Count
    validation: Number | None
    epochs: Count
    state: Literal["complete", "failed"]


class TunedCandidate(WholeRecord):
    """The trials of one candidate, and which of them it trains by.

    Attributes:
        label: of the candidate.
        options: the options that its trials vary.
        chosen: the number of the best trial; 0, the recipe's own values, if all have failed.
        trials: one for each proposal, in their order.
    """

    label: Text
    options: tuple[Text, ...] = ()
    chosen: Count
    trials: Annotated[tuple[TuningTrial, ...], Field(min_length=1)]

    @property
    def best(self) -> TuningTrial:
        """The chosen trial."""
        return self.trials[self.chosen]

    @property
    def gain(self) -> float | None:
        """The validation value of the chosen trial minus that of the recipe's own values."""
        own, best = self.trials[0].validation, self.best.validation
        return None if own is None or best is None else best - own

    @property
    def failed(self) -> int:
        """The number of trials that failed."""
        return sum(trial.state == "failed" for trial in self.trials)


class Tuning(WholeRecord):
    """The tuning of a study: the same proposals for each candidate, on the validation part of one seed.

    Attributes:
        seed: of all trials; no run of the study has it.
        learning_rate: the lowest and the highest that could be proposed.
        weight_decay: likewise.
        options: the values of each option that was varied, as a person writes them.
        proposals: in the order of the trials; the first is the recipe's own.
        candidates: what each got, in the order of the study.
    """

    seed: Count
    learning_rate: Span
    weight_decay: Span
    options: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    proposals: Annotated[tuple[Proposal, ...], Field(min_length=1)]
    candidates: tuple[TunedCandidate, ...] = ()

    @model_validator(mode="after")
    def _check_trials(self) -> "Tuning":
        numbers = tuple(range(len(self.proposals)))
        for one in self.candidates:
            if tuple(trial.number for trial in one.trials) != numbers or one.chosen not in numbers:
                raise ValueError(f"the trials of {one.label} are not those of the {len(numbers)} proposals")
        return self

    def of(self, label: str) -> TunedCandidate | None:
        """Return what the candidate of this label got; None if it has had no trials."""
        return next((one for one in self.candidates if one.label == label), None)

    def chosen(self, label: str) -> Proposal | None:
        """Return the proposal that the candidate trains by, with the options that it has."""
        return None if (one := self.of(label)) is None else self.proposal(one.chosen, one.options)

    def proposal(self, number: int, options: Sequence[str]) -> Proposal:
        """Return the proposal of this number for a candidate that has these of its options."""
        whole = self.proposals[number]
        kept = {option: value for option, value in whole.options.items() if option in options}
        return whole.model_copy(update={"options": kept})
