"""Put other modules in the place of a network's attention, and take attention out at single sites."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from torch import nn

from foveate.models.sites.attach import Placement, attached, insert_built
from foveate.models.sites.channel_scale import CHANNEL_SCALE, ChannelScale
from foveate.models.sites.insertion import CHILD, remove

__all__ = ["find_placements", "put_modules", "replace_attention"]


def replace_attention(model: nn.Module, modules: Mapping[str, nn.Module], kept: Collection[str]) -> None:
    """Put `modules` at the sites by path, keep the attention at those in `kept`, and take out all other."""
    placed = find_placements(model)
    wanted = {path: model.get_submodule(f"{path}.{CHILD}" if path else CHILD) for path in kept}
    wanted |= modules
    put_modules(model, placed, {path: wanted[path] for path in placed if path in wanted})


def find_placements(model: nn.Module) -> dict[str, Placement]:
    """Return the placements of the attention in `model` by the path of the module at the site."""
    placed: dict[str, Placement] = {}
    for path, module in attached(model).items():
        at, placement = path.removesuffix(CHILD).removesuffix("."), module.placement
        assert isinstance(placement, Placement)
        placed[at] = replace(placement, path=at)
    return placed


def put_modules(model: nn.Module, placed: Mapping[str, Placement], modules: Mapping[str, nn.Module]) -> None:
    """Let `modules`, by the path of the module at their site, be all attention in `model`."""
    remove(model)
    for path, module in modules.items():
        place = placed[path]
        if isinstance(module, ChannelScale):
            place = replace(place, name=CHANNEL_SCALE, identity_init=False, options={}, custom=None)
        module.placement = place  # type: ignore[assignment]
        module.train(model.get_submodule(path).training)
    insert_built(model, modules.values())
