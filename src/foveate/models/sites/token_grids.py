"""Tokens and maps with channels last, as the maps (B, C, H, W) that attention weighs, and back.

Tokens (B, N, C) do not say how high and wide their grid is. A module that runs before them does: its output
is still a map, as that of the convolution that cuts an image into patches, or its input is, as that of a Swin
block. This module, the source, records the size at each forward; the sites that it serves read it. So images
of any size and any proportions work wherever the network takes them.
"""

from typing import Any, Literal, NamedTuple

from torch import Tensor, cat

from foveate.errors import RequestError

__all__ = ["Grid", "Layout", "Side", "from_map", "to_map"]

Side = Literal["output", "input"]
"""What of a source has the size: its output (B, C, H, W), or its input (B, H, W, C)."""


class Grid:
    """Height and width of the grid of tokens in the running forward pass; shared by a source and its sites.

    A copy shares it as the original does, and starts without a size: export leaves symbols in it.
    """

    size: tuple[Any, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Grid, ()


class Layout(NamedTuple):
    """How the maps at a site lie in memory: (B, H, W, C), or tokens (B, prefix + H·W, C) of a grid.

    The first `prefix` tokens are no part of the image: class and register tokens, which pass by untouched.
    """

    kind: Literal["channels_last", "tokens"]
    grid: Grid | None = None
    prefix: int = 0


def to_map(x: Tensor, layout: Layout, path: str) -> Tensor:
    """Return x, at the site at `path`, as a map (B, C, H, W); raise RequestError where it fills no grid."""
    if layout.kind == "channels_last":
        return x.permute(0, 3, 1, 2)
    size = layout.grid.size if layout.grid else None
    if size is None:
        raise RequestError(
            f"the grid of the tokens at {path!r} is not known: the module that makes the tokens has not run. "
            "Run the whole network"
        )
    height, width = size
    if x.ndim != 3 or x.shape[1] != layout.prefix + height * width:
        raise RequestError(
            f"the tokens at {path!r}, of shape {tuple(x.shape)}, do not fill the grid of {height}×{width} "
            f"that the image was cut into, with {layout.prefix} class and register tokens: what drops or "
            "merges tokens, such as patch_drop_rate, cannot be used with attention on their grid"
        )
    return x[:, layout.prefix :].transpose(1, 2).unflatten(2, (height, width))


def from_map(y: Tensor, x: Tensor, layout: Layout) -> Tensor:
    """Return the map y (B, C, H, W) in the layout of x, with the first tokens of x before it."""
    if layout.kind == "channels_last":
        return y.permute(0, 2, 3, 1)
    tokens = y.flatten(2).transpose(1, 2)
    return cat((x[:, : layout.prefix], tokens), 1) if layout.prefix else tokens
