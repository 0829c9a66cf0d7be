"""Learned numbers of the attention at each site, recorded while a network trains."""

from torch import nn

from foveate.models import attached
from foveate.models.sites.capture import attention_names

__all__ = ["learned_numbers"]


def learned_numbers(network: nn.Module) -> dict[str, dict[str, float]]:
    """Return the learned numbers of the attention at each site, such as {"layer1.0": {"tau": 1.02}, …}.

    They come from the method `learned_numbers() -> dict[str, float]` of modules that have one; sites without
    any are skipped. Sites are in the network's order, with their names from `foveate.sites`, or with their
    paths if they have no name there or it is taken.
    """
    names = attention_names(network)
    by_site: dict[str, dict[str, float]] = {}
    for path, attention in attached(network).items():
        numbers: dict[str, float] = {}
        for part in attention.modules():
            numbers |= getattr(part, "learned_numbers", dict)()
        if numbers:
            by_site[names[path]] = numbers
    return by_site
