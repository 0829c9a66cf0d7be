"""Modes of a network are put back, those of each module by itself."""

import pytest
from torch import nn

from foveate.modes import eval_mode, kept_modes


@pytest.fixture
def network() -> nn.Module:
    """A network in train mode, one module of which is frozen in eval mode."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network[1].eval()
    return network


@pytest.mark.parametrize("context", [eval_mode, kept_modes])
def test_every_module_has_its_own_mode_again(network: nn.Module, context) -> None:
    with pytest.raises(KeyError), context(network):
        network.train(context is kept_modes)
        raise KeyError
    assert [module.training for module in network.modules()] == [True, True, False]


def test_all_modules_are_in_eval_mode_within(network: nn.Module) -> None:
    with eval_mode(network):
        assert not any(module.training for module in network.modules())
