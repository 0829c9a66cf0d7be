"""What the trials of a tuning try."""

import itertools
import math

import pytest

from foveate.studies.engine.proposals import propose
from foveate.studies.spec.tuning import Tune
from foveate.training.recipe import Recipe

RECIPE = Recipe(learning_rate=0.1, weight_decay=5e-4)


def sobol(number: int, direction: list[int]) -> float:
    """Point `number` of Sobol's sequence in Gray code, from its direction numbers over 2^1, 2^2, 2^3 …"""
    gray, value = number ^ (number >> 1), 0
    for bit, one in enumerate(direction):
        if gray >> bit & 1:
            value ^= one << (len(direction) - 1 - bit)
    return value / 2 ** len(direction)


DIRECTIONS = [[1, 1, 1, 1], [1, 3, 5, 15], [1, 3, 3, 9]]
"""m₁ … m₄ of the first three coordinates: van der Corput's, and those of x + 1 and of x² + x + 1."""


def test_the_first_proposal_is_the_recipe_and_the_others_are_sobol_points_around_it() -> None:
    tuning = propose(Tune(trials=8, options={"reduction": (4, 8, 16)}), RECIPE)
    own, *others = tuning.proposals
    assert (own.learning_rate, own.weight_decay, own.options) == (0.1, 5e-4, {})
    for number, proposal in enumerate(others, start=2):
        rate, decay, pick = (sobol(number, one) for one in DIRECTIONS)
        assert proposal.learning_rate == pytest.approx(0.1 * 64**rate / 8, rel=5e-3)
        assert proposal.weight_decay == pytest.approx(5e-4 * 100**decay / 10, rel=5e-3)
        assert proposal.options == {"reduction": ("4", "8", "16")[int(3 * pick)]}
        assert proposal.learning_rate == float(f"{proposal.learning_rate:.3g}")
    assert tuning.learning_rate == (0.0125, 0.8)
    assert tuning.weight_decay == (5e-5, 5e-3)
    assert tuning.options == {"reduction": ("4", "8", "16")}


def test_seven_trials_fall_into_each_eighth_of_the_range_but_one() -> None:
    tuning = propose(Tune(trials=7), RECIPE)
    eighths = {
        math.floor(8 * math.log(one.learning_rate / 0.0125) / math.log(64) + 0.1) for one in tuning.proposals
    }
    assert eighths == {1, 2, 3, 4, 5, 6, 7}


def test_a_longer_tuning_begins_as_a_shorter_one() -> None:
    whole = propose(Tune(trials=33), RECIPE).proposals
    assert all(propose(Tune(trials=number), RECIPE).proposals == whole[:number] for number in (2, 3, 8, 16))
    assert all(one != other for one, other in itertools.combinations(whole, 2))


def test_a_weight_decay_of_0_stays_0() -> None:
    tuning = propose(Tune(trials=4), RECIPE.model_copy(update={"weight_decay": 0.0}))
    assert {one.weight_decay for one in tuning.proposals} == {0.0}
    assert tuning.weight_decay == (0.0, 0.0)
    assert len({one.learning_rate for one in tuning.proposals}) == 4
