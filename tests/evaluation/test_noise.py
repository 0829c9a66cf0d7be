import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from foveate.evaluation.noise import BUSY, Times, find_noise
from foveate.evaluation.timing import take_turns

QUIET = {"none": Times(2.0, 2.2, 1.0), "se": Times(2.4, 2.6, 1.2)}


def kinds(times: dict[str, Times], cpu_share: float | None = 1.0) -> list[tuple[str, str]]:
    return [(noise.kind, noise.label) for noise in find_noise(times, "none", cpu_share)]


def test_a_quiet_measurement_has_no_noise() -> None:
    assert kinds(QUIET) == []
    assert kinds(QUIET, None) == []
    assert kinds(QUIET | {"none": Times(2.0, BUSY * 2.0, 1.0)}) == []  # the limit itself is not over it


def test_each_kind_is_found_with_its_factor_the_worst_first() -> None:
    assert kinds(QUIET | {"none": Times(2.0, 2.6, 1.0)}) == [("unsteady", "none")]
    assert kinds(QUIET, 0.5) == [("shared", "none")]
    assert kinds(QUIET | {"se": Times(5.56, 5.7, 1.21)}) == [("apart", "se")]
    assert kinds(QUIET | {"se": Times(2.0, 2.1, 1.5)}) == [("apart", "se")]
    found = find_noise(QUIET | {"none": Times(2.0, 3.0, 1.0)}, "none", 0.25)
    assert [(noise.kind, noise.factor) for noise in found] == [
        ("shared", pytest.approx(4)),
        ("unsteady", pytest.approx(1.5)),
    ]


def test_ratios_to_another_network_than_the_reference_are_brought_to_it() -> None:
    """As 0.1.0 recorded them: to the first network, which may be another than plain."""
    times = {"se": Times(2.4, 2.6, 1.0), "none": Times(2.0, 2.2, 1 / 1.2)}
    assert kinds(times) == []


@contextmanager
def one_core_shared_with(programs: int) -> Iterator[None]:
    """Keep this thread on one core, on which so many busy loops run."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    loop = "import time\nend = time.monotonic() + 60\nprint(flush=True)\nwhile time.monotonic() < end: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE) for _ in range(programs)]
    try:
        for one in loops:
            assert one.stdout is not None
            one.stdout.readline()
        yield
    finally:
        for one in loops:
            one.kill()
            one.communicate()
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_core_that_works_for_another_program_is_seen() -> None:
    numbers = torch.ones(100_000)

    def step() -> None:
        for _ in range(20):
            numbers.exp()

    with one_core_shared_with(2):
        turns = take_turns({"none": step}, torch.device("cpu"), seconds=1.0, rounds=(30, 100))
    assert turns.cpu_share is not None
    assert 0 < turns.cpu_share < 0.7
    assert ("shared", "none") in kinds(QUIET, turns.cpu_share)
