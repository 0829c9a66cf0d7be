"""How large the maps at the sites of a network are for images of one size; what else gives maps."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, first_line
from foveate.models.sites.attach import Placement, attached, detach, insert_built
from foveate.models.sites.find import Site
from foveate.models.sites.forward_pass import drop_forward_hooks, input_channels
from foveate.models.sites.patterns import paths_of
from foveate.modes import evaluating

__all__ = ["MapSize", "map_modules", "map_sizes"]


class MapSize(NamedTuple):
    """The channels, height and width of a map."""

    channels: int
    height: int
    width: int


def map_sizes(model: nn.Module, sites: Iterable[Site], size: tuple[int, int]) -> dict[Site, MapSize]:
    """Return the size of the map at each of `sites` for an image of `size` (height, width).

    A site that does not run is not in the dict. Raises RequestError where the network does not take such
    images.
    """
    sites, seen = list(sites), dict[str, MapSize]()
    if attached(model):
        model = detach(copy.deepcopy(model))

    def watch(dry: nn.Module) -> None:
        # In place of attention, which gets (B, C, H, W) in every layout. Two sites can be at one module.
        probes = {site.path: _probe(site) for site in sites}
        insert_built(dry, probes.values())
        for path, module in probes.items():
            module.register_forward_hook(
                lambda module, args, y, path=path: seen.update({path: MapSize(*y.shape[1:])})
            )

    _run(model, size, watch)
    return {site: seen[site.path] for site in sites if site.path in seen}


def _probe(site: Site) -> nn.Module:
    probe = nn.Identity()
    placement = Placement("", site.path, site.position, site.channels, False, {})
    probe.placement = placement  # type: ignore[assignment]
    return probe


def map_modules(model: nn.Module, size: tuple[int, int]) -> dict[str, MapSize]:
    """Return the modules that give one map (B, C, H, W) in a forward pass, in the order in which they end."""
    seen: dict[str, list[Any]] = {}

    def watch(dry: nn.Module) -> None:
        for path in paths_of(dry):
            if path:
                dry.get_submodule(path).register_forward_hook(
                    lambda module, args, y, path=path: seen.setdefault(path, []).append(y)
                )

    _run(model, size, watch)
    once = {path: outputs[0] for path, outputs in seen.items() if len(outputs) == 1}
    return {path: MapSize(*y.shape[1:]) for path, y in once.items() if isinstance(y, Tensor) and y.ndim == 4}


def _run(model: nn.Module, size: tuple[int, int], watch: Callable[[nn.Module], None]) -> None:
    """Run a copy of `model`, with the hooks that `watch` installs, on one image of zeros."""
    dry = copy.deepcopy(model)
    drop_forward_hooks(dry)
    watch(dry)
    like = next(dry.parameters(), torch.empty(0))
    image = torch.zeros(1, input_channels(dry), *size, dtype=like.dtype, device=like.device)
    try:
        with evaluating(dry), torch.no_grad():
            dry(image)
    except Exception as error:  # each network refuses in its own way
        raise RequestError(
            f"{type(model).__name__} takes no image of {size[0]}×{size[1]} pixels: {first_line(error)}"
        ) from error
