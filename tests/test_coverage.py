"""benchmarks/simulated_coverage.py in seconds: intervals hold the truth, and tests keep their level."""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from foveate.evaluation.resampling import draw_images, pigeonhole_interval

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "simulated_coverage.py"


@pytest.fixture(scope="module")
def simulation() -> Iterator[ModuleType]:
    """The script as a module."""
    spec = spec_from_file_location("simulated_coverage", SCRIPT)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_intervals_for_new_images_hold_the_truth_where_those_for_these_do_not(simulation):
    world = simulation.World("few images", mean=0.7, ease=1.7, own=1.0, luck=0.02)
    found = simulation.coverage(world, 10, 200, 600)
    # Of 600 studies, 95 % ± 2.7 points are within three standard errors.
    assert 92.3 < found["new images"] < 97.7
    assert 92.3 < found["these images"] < 97.7
    assert found["these, for new"] < 75
    assert found["pigeonhole"] > found["new images"]
    assert found["no interval"] < 1


def test_two_quantiles_keep_each_level_where_one_number_of_degrees_of_freedom_does_not(simulation):
    for level in (0.05, 0.01, 0.001):
        found = simulation.worst_error(3, level)
        assert found["two quantiles"] <= 100.5 * level
        assert found["Satterthwaite"] > 140 * level


def test_a_family_keeps_its_level(simulation):
    found = simulation.errors(simulation.WORLDS[1], 5, 300, 300)
    assert max(found.values()) < 5 + 3 * 1.26  # three standard errors
    assert found["different, new images"] > 1


def test_the_variance_of_the_bootstrap_is_the_one_that_is_simulated(simulation):
    random = np.random.default_rng(2)
    d = simulation.simulate(simulation.WORLDS[0], [0.0, 0.3], 4, 300, random).differences(1)
    draws = np.concatenate([d @ counts / 300 for counts in draw_images(300, 8_000)], axis=1).T
    low, high = pigeonhole_interval(draws, float(d.mean()))
    expected = 2 * 3.182 * np.sqrt(simulation.pigeonhole_variance(d))  # Student's t of 3 degrees of freedom
    assert high - low == pytest.approx(expected, rel=0.05)


def test_a_moderated_t_test_does_not_keep_its_level_where_spreads_differ(simulation):
    found = simulation.moderated([1.0, 3.0, 1.0, 1.0, 1.0, 1.0], 3, 4_000)
    assert found["plain, worst"] < 6.2
    assert found["moderated, worst"] > 10
