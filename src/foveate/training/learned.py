"""What the attention of a network says of itself while it trains: a few learned numbers by site."""

from torch import nn

from foveate.models import attached
from foveate.models.sites.find import sites

__all__ = ["learned_numbers"]


def learned_numbers(network: nn.Module) -> dict[str, dict[str, float]]:
    """Ask the attention at each site for its learned numbers, such as {"layer1.0": {"tau": 1.02}, …}.

    A module answers by a method `learned_numbers() -> dict[str, float]`; what has none, or nothing to say, is
    left out. Sites come in the network's order and are called as `foveate.sites` calls them, or by the path
    where it has no name for them, or one that is taken.
    """
    names = {site.path: site.name for site in sites(network)}
    told: dict[str, dict[str, float]] = {}
    for path, attention in attached(network).items():
        numbers: dict[str, float] = {}
        for part in attention.modules():
            numbers |= getattr(part, "learned_numbers", dict)()
        if numbers:
            at = path.removesuffix(".attention")
            name = names.get(at, at)
            told[at if name in told else name] = numbers
    return told
