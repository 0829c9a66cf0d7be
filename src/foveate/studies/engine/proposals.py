"""The proposals of a tuning: one list of values for the trials of every candidate of a study."""

import math

import numpy as np

from foveate.records.tuning import Proposal, Tuning
from foveate.studies.spec.tuning import DECAY_FACTOR, RATE_FACTOR, TUNING_SEED, Tune, rounded, span
from foveate.training.recipe import Recipe

__all__ = ["propose"]


def propose(tune: Tune, recipe: Recipe) -> Tuning:
    """Return the proposals of a tuning, with no candidate in it yet.

    They are the first points of Sobol's sequence (I. M. Sobol', 1967; directions of S. Joe and F. Y. Kuo,
    2008, as in scipy) after its origin: learning rate and weight decay are log-uniform between the recipe's
    own value over and times a factor, and each further coordinate picks a value of an option. The first
    point is the middle, and so the recipe's own values; the first trial varies no option either. Nothing is
    drawn at random and nothing depends on a result: every candidate gets the same values, a longer tuning
    begins as a shorter one does, and --jobs changes nothing. A weight decay of 0 stays 0.
    """
    first, *others = _points(tune.trials, 2 + len(tune.options))
    assert first[0] == first[1] == 0.5
    own = Proposal(learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay)
    written = {option: tuple(values) for option, values in tune.values.items()}
    return Tuning(
        seed=TUNING_SEED,
        learning_rate=span(recipe.learning_rate, RATE_FACTOR),
        weight_decay=span(recipe.weight_decay, DECAY_FACTOR),
        options=written,
        proposals=(own, *(_proposal(point, recipe, written) for point in others)),
    )


def _points(number: int, dimensions: int) -> np.ndarray:
    """Return points of the unit cube, float64 (number, dimensions), without the origin."""
    from scipy.stats import qmc  # takes a while to import

    whole = qmc.Sobol(dimensions, scramble=False).random_base2(math.ceil(math.log2(number + 1)))
    points: np.ndarray = whole[1 : number + 1]
    return points


def _proposal(point: np.ndarray, recipe: Recipe, options: dict[str, tuple[str, ...]]) -> Proposal:
    rate, decay, *picks = point.tolist()
    return Proposal(
        learning_rate=rounded(recipe.learning_rate * RATE_FACTOR ** (2 * rate - 1)),
        weight_decay=rounded(recipe.weight_decay * DECAY_FACTOR ** (2 * decay - 1)),
        options={
            option: values[int(pick * len(values))]
            for pick, (option, values) in zip(picks, options.items(), strict=True)
        },
    )
