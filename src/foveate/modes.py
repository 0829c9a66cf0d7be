"""Train and eval mode of a network, put back after it was changed for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["eval_mode", "kept_modes"]


@contextmanager
def kept_modes(network: nn.Module) -> Iterator[None]:
    """Give every module of `network` its train or eval mode back at the end, also after an exception."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put `network` into eval mode for the block, and then every module back into its own mode."""
    with kept_modes(network):
        network.eval()
        yield
