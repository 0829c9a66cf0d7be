import time

import pytest
import torch
from torch import nn

from foveate.evaluation.parts import time_parts

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return x


class Mechanism(nn.Module):
    def __init__(self):
        super().__init__()
        self.second = Sleeper(0.002)
        self.first = Sleeper(0.004)
        self.branches = nn.ModuleList([Sleeper(0.001), Sleeper(0.001)])
        self.unused = nn.Identity()

    def forward(self, x):
        x = self.second(self.first(x))
        time.sleep(0.003)
        for branch in self.branches:
            x = branch(x)
        return self.second(x)


def test_parts_are_summed_over_modules_and_calls_in_order_of_call():
    network = nn.Sequential(Mechanism(), Mechanism())
    times = time_parts(lambda: network(torch.zeros(1)), list(network), CPU, seconds=0, rounds=(3, 3))
    parts = times.parts
    assert list(parts) == ["first", "second", "branches"]
    assert list(times.as_record()) == ["first", "second", "branches", "the rest", "in total"]
    # Sleeping never takes less; a busy machine makes it more.
    assert parts["first"] >= 8
    assert parts["second"] >= 8
    assert parts["branches"] >= 4
    assert times.rest >= 6
    assert times.whole >= 26
    assert times.whole == pytest.approx(sum(parts.values()) + times.rest, rel=0.3)


def test_hooks_are_gone_afterwards_even_if_a_step_fails():
    network = Mechanism()

    def fail():
        network(torch.zeros(1))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        time_parts(fail, [network], CPU, seconds=0, rounds=(1, 1))
    hooks = [module._forward_hooks or module._forward_pre_hooks for module in network.modules()]
    assert not any(hooks)
