"""Which modules of a network give tokens or maps with channels last, and which module knows their grid."""

from typing import Literal, NamedTuple

from torch import nn

from foveate.models.sites.architectures import GRIDS, NO_GRID
from foveate.models.sites.find import has_grid, known_block, look_up, resolve_path
from foveate.models.sites.patterns import inside
from foveate.models.sites.token_grids import Side

__all__ = ["Spot", "spots"]


class Spot(NamedTuple):
    """The layout at one module, and for tokens the module that knows their grid.

    `position` is where attention goes at that module.
    """

    kind: Literal["channels_last", "tokens"]
    position: Literal["after", "before"]
    channels: int
    source: str = ""
    side: Side = "output"
    prefix: int = 0


def spots(model: nn.Module) -> dict[str, Spot]:
    """Return the modules of `model`, by path, at which attention meets another layout than (B, C, H, W)."""
    found: dict[str, Spot] = {}
    network, source, prefix = None, "", 0
    for path, module in model.named_modules():
        grid = look_up(GRIDS, module, NO_GRID)
        if grid is not NO_GRID and has_grid(module):
            network, source = path, f"{path}.{resolve_path(module, grid.source)}".lstrip(".")
            prefix = grid.prefix if isinstance(grid.prefix, int) else getattr(module, grid.prefix)
        known = known_block(module)
        without_grid = network is None or not inside(path, [network])
        if known.layout == "map" or (known.layout == "tokens" and without_grid and not known.reads_input):
            continue
        width = module.get_submodule(resolve_path(module, known.channels)).out_features
        here = f"{path}.{resolve_path(module, known.module)}".lstrip(".")
        found[here] = _spot(known.layout, known.position, width, path, source, prefix, known.reads_input)
        outside = known.output or known.layout
        if outside != "map":
            found[path] = _spot(outside, "after", width, path, source, prefix, known.reads_input)
    return found


def _spot(
    layout: Literal["channels_last", "tokens"],
    position: Literal["after", "before"],
    channels: int,
    block: str,
    source: str,
    prefix: int,
    reads_input: bool,
) -> Spot:
    if layout == "channels_last":
        return Spot(layout, position, channels)
    if reads_input:  # the block itself takes (B, H, W, C)
        return Spot(layout, position, channels, block, "input")
    return Spot(layout, position, channels, source, "output", prefix)
