import time

import pytest
import torch
from torch import nn

from foveate.evaluation.cost import TRIES, count_multiply_adds, count_parameters, measure_latencies
from foveate.evaluation.timing import WARM_UP


def test_multiply_adds_and_parameters_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert count_parameters(network) == 3 * 8 * 9 + 8 + 1280 + 10
    assert count_multiply_adds(network, (1, 3, 4, 4)) == 16 * 8 * 27 + 1280
    assert count_multiply_adds(network, (2, 3, 4, 4)) == 2 * (16 * 8 * 27 + 1280)


def test_counting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).train()
    before = network[1].running_mean.clone()
    count_multiply_adds(network, (2, 1, 2, 2))
    assert network.training
    assert torch.equal(network[1].running_mean, before)


class Sleeper(nn.Module):
    def __init__(self, seconds: float, log: list[float]) -> None:
        super().__init__()
        self.seconds, self.log = seconds, log

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.log.append(self.seconds)
        time.sleep(self.seconds)
        return x


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.modes: set[bool] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.add(torch.is_inference_mode_enabled())
        return x


def test_inference_is_timed_in_inference_mode() -> None:
    """With gradients, mechanisms would take other kernel paths than in use."""
    network = Listener()
    measure_latencies({"none": network}, (1, 3, 2, 2), device=torch.device("cpu"), seconds=0.0, rounds=(1, 1))
    assert network.modes == {True}


def test_latencies_alternate_and_are_compared_in_each_round() -> None:
    log: list[float] = []
    networks = {"none": Sleeper(0.004, log), "slow": Sleeper(0.012, log)}
    told: list[tuple[int, int]] = []
    measured = measure_latencies(
        networks,
        (1, 1, 2, 2),
        device=torch.device("cpu"),
        seconds=0,
        rounds=(15, 20),
        on_round=lambda done, total: told.append((done, total)),
    )
    assert log[-30:] == [0.004, 0.012] * 15
    assert told[-1] == (15, 15)
    assert measured["none"].ratio == 1
    assert measured["slow"].p50 == pytest.approx(12, rel=0.5)
    assert 1.5 < measured["slow"].ratio < 4
    assert measured["slow"].p50 <= measured["slow"].p95
    # No core works for a sleeper: to the noise check that is a busy machine, and all is measured again.
    assert len(log) == TRIES * 2 * (WARM_UP + 1 + 15)
