"""What `--tune` varies: learning rate, weight decay and options, in the same way for each candidate."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from foveate.errors import RequestError, unknown_name
from foveate.notation import listing
from foveate.records.base import Number
from foveate.records.design import Design
from foveate.records.labels import BASELINE
from foveate.records.tuning import Proposal, Tuning
from foveate.studies.spec.candidate import PLACEMENT, Candidate, OptionValue
from foveate.studies.spec.options import option_defaults
from foveate.studies.spec.sweep import SweptValues, combine, parse_values, unset, write_value
from foveate.training.recipe import Recipe

__all__ = [
    "DECAY_FACTOR",
    "MOST_TRIALS",
    "RATE_FACTOR",
    "TUNING_SEED",
    "Tune",
    "proposed_recipe",
    "read_tune",
    "rounded",
    "span",
    "tuned_candidate",
    "tuned_options",
    "tuned_recipe",
    "with_each_option",
]

TUNING_SEED = 1000
"""The seed of all trials. Seeds that are given by their number end before it, and a list may not have it:
the run of a study with the seed of the trials would be the best of them, chosen because it was good."""
MOST_TRIALS = 1000
RATE_FACTOR, DECAY_FACTOR = 8.0, 10.0
"""Learning rates are proposed up to this many times the recipe's own, and down to as small a part of it;
weight decays likewise."""
EXAMPLE = "reduction=4,8,16"


class Tune(BaseModel):
    """What is asked for: the trials of each candidate, and the values of options that they vary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int
    options: dict[str, tuple[OptionValue, ...]] = {}

    @property
    def values(self) -> SweptValues:
        """The values of each option by what a person writes for them."""
        return {
            option: {write_value(option, value): value for value in values}
            for option, values in self.options.items()
        }


def read_tune(
    settings: Mapping[str, Any], candidates: Sequence[Candidate], design: Design, seeds: Sequence[int]
) -> Tune | None:
    """Read the keys `tune` and `tune_option` of a study; None if it is not to be tuned.

    Raises:
        RequestError: too few or too many trials, an option that no candidate has, or a seed of the trials
            among the seeds.
    """
    trials, options = settings.get("tune"), settings.get("tune_option")
    if trials is None:
        if options:
            raise RequestError("tune_option says what else the trials of tune vary: give --tune 8, too")
        return None
    if type(trials) is not int or not 2 <= trials <= MOST_TRIALS:
        raise RequestError(
            f"tune = {trials!r}: expected the number of trials of each candidate, 2 to {MOST_TRIALS}; the "
            "first of them has the recipe's own values"
        )
    if TUNING_SEED in seeds:
        raise RequestError(
            f"seeds have {TUNING_SEED}, which is the seed of the trials of tune: give another in its place"
        )
    if options and (design.kind != "compare"):
        raise RequestError(
            f"tune_option varies options of the mechanisms of foveate compare, and this study is of the kind "
            f"{design.kind}: leave tune_option out"
        )
    return Tune(trials=trials, options=_read_options(options or {}, candidates))


def _read_options(given: Any, candidates: Sequence[Candidate]) -> dict[str, tuple[OptionValue, ...]]:
    if not isinstance(given, Mapping):
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise RequestError(f"tune_option = {given!r}: expected options with their values, as {EXAMPLE}")
        pairs = [_read_text(text, candidates) for text in texts]
    else:
        pairs = [(str(option), values) for option, values in given.items()]
    read: dict[str, tuple[OptionValue, ...]] = {}
    for option, values in pairs:
        if option in read:
            raise RequestError(f"tune_option names {option} more than once: give all of its values at once")
        if not isinstance(values, list | tuple) or not values:
            raise RequestError(f"tune_option {option} = {values!r}: expected a list of values")
        read[option] = tuple(map(unset, values))
        written = [write_value(option, value) for value in read[option]]
        if twice := sorted({one for one in written if written.count(one) > 1}):
            raise RequestError(f"tune_option {option} names {twice[0]} more than once")
        for candidate in _takers(option, candidates):
            _refuse_twin(candidate, option, read[option], candidates)
    return read


def _read_text(text: str, candidates: Sequence[Candidate]) -> tuple[str, list[OptionValue]]:
    option = text.partition("=")[0].strip().replace("-", "_")
    return parse_values(_takers(option, candidates)[0], text, "tune_option")


def _takers(option: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates of which the trials vary `option`; there is at least one."""
    having = [one for one in candidates if option in _options_of(one)]
    if not having:
        known = dict.fromkeys(name for one in candidates for name in _options_of(one))
        raise RequestError(unknown_name("tune_option", option, known))
    takers = [one for one in having if not _gives(one, option)]
    if not takers:
        named = listing([one.label for one in having])
        raise RequestError(
            f"tune_option {option}: all mechanisms that have it give a value, which stays ({named}): leave "
            "out the option, or the value"
        )
    return takers


def _options_of(candidate: Candidate) -> list[str]:
    return [] if candidate.name == BASELINE else [*option_defaults(candidate), *PLACEMENT]


def _gives(candidate: Candidate, option: str) -> bool:
    """Return whether a person gave the option, which then stays as it is."""
    if option == "identity_init" and candidate.usual_identity_init:
        return not candidate.identity_init
    return option in candidate.options or (option in PLACEMENT and option in candidate.model_fields_set)


def _refuse_twin(
    candidate: Candidate, option: str, values: Sequence[OptionValue], candidates: Sequence[Candidate]
) -> None:
    """Refuse a candidate that a trial of another would be: both could end as the same run."""
    for value in values:
        twin = combine(candidate, {option: value}).label
        if twin != candidate.label and twin in [one.label for one in candidates]:
            raise RequestError(
                f"tune_option {option} makes {twin} one of the trials of {candidate.label}, and it is a "
                "candidate of its own: leave it out of attention"
            )


def tuned_options(tune: Tune, candidate: Candidate) -> tuple[str, ...]:
    """Return the options that the trials of `candidate` vary: those that it has, and does not give itself."""
    known = _options_of(candidate)
    return tuple(one for one in tune.options if one in known and not _gives(candidate, one))


def tuned_candidate(given: Candidate, tune: Tune, proposal: Proposal) -> Candidate:
    """Return `given` with the options of a proposal, under its own label."""
    values = tune.values
    chosen = combine(given, {option: values[option][one] for option, one in proposal.options.items()})
    return chosen if chosen.label == given.label else chosen.model_copy(update={"alias": given.label})


def tuned_recipe(recipe: Recipe, tuning: Tuning | None, label: str) -> Recipe:
    """Return the recipe that the candidate of this label trains by: the study's own before it is tuned."""
    proposal = tuning and tuning.chosen(label)
    return proposed_recipe(recipe, proposal) if proposal else recipe


def proposed_recipe(recipe: Recipe, proposal: Proposal) -> Recipe:
    """Return `recipe` with the learning rate and the weight decay of a proposal.

    The final learning rate stays the same part of the peak, so that the schedule keeps its shape.
    """
    if (proposal.learning_rate, proposal.weight_decay) == (recipe.learning_rate, recipe.weight_decay):
        return recipe
    last = recipe.final_learning_rate * proposal.learning_rate / recipe.learning_rate
    changes = {"learning_rate": proposal.learning_rate, "weight_decay": proposal.weight_decay}
    return recipe.model_copy(update={**changes, "final_learning_rate": last})


def span(value: float, factor: float) -> tuple[Number, Number]:
    """Return the lowest and the highest value that may be proposed around the recipe's own."""
    return rounded(value / factor), rounded(value * factor)


def rounded(value: float) -> float:
    """Round to three digits, which decide as much of a training as more would."""
    return value if value == 0 or not math.isfinite(value) else float(f"{value:.3g}")


def with_each_option(tune: Tune, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates, and those that have one value of one option, so that all can be validated."""
    varied = [
        combine(one, {option: value})
        for one in candidates
        for option in tuned_options(tune, one)
        for value in tune.options[option]
    ]
    return (*candidates, *(one for one in varied if one not in candidates))
