"""How the tests of the contract build a mechanism."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import nn

from foveate import create_attention
from foveate.attention import MECHANISMS


@pytest.fixture(scope="session")
def build() -> Callable[..., nn.Module]:
    """Return build(name, channels=8, seed=0): the mechanism with a bottleneck that suits few channels."""

    def build(name: str, channels: int = 8, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        options = inspect.signature(MECHANISMS[name].module).parameters
        reduction = {"reduction": min(channels, 4)} if "reduction" in options else {}
        return create_attention(name, channels, **reduction)

    return build
