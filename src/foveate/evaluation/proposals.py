"""The work of a two-stage detector, which depends on how many regions its first stage proposes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["most_proposals", "propose_most"]

KEEPS_ALL = 1.0
"""A share of overlap that no two boxes exceed, so that none suppresses another."""


def propose_most(network: nn.Module) -> list[tuple[Any, float]]:
    """Let `network` propose as many regions as it keeps at most, wherever it proposes any.

    An untrained detector proposes more or fewer by chance, and its second stage does more or less work. In
    torchvision's region proposal networks nothing is suppressed for its overlap any more; other networks are
    left as they are.

    Returns:
        the modules that were changed, with the thresholds that they had.
    """
    modules: list[Any] = [
        module for module in network.modules() if type(module).__name__ == "RegionProposalNetwork"
    ]
    before = [(module, float(module.nms_thresh)) for module in modules]
    for module in modules:
        module.nms_thresh = KEEPS_ALL
    return before


@contextmanager
def most_proposals(network: nn.Module) -> Iterator[None]:
    """Do `propose_most` within the block, and undo it after it."""
    before = propose_most(network)
    try:
        yield
    finally:
        for module, threshold in before:
            module.nms_thresh = threshold
