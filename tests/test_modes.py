"""The modes of a network are restored, each module's own."""

import pytest
from torch import nn

from foveate.modes import evaluating


def test_every_module_has_its_own_mode_again() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network[1].eval()  # frozen
    with pytest.raises(KeyError), evaluating(network):
        assert not any(module.training for module in network.modules())
        network.train()
        raise KeyError
    assert [module.training for module in network.modules()] == [True, True, False]
