"""What a module must consist of for a kernel to replace all of it: a kernel computes the equations only."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from foveate.torch_private import children_of

__all__ = [
    "KERNELS",
    "MOST_BRANCHES",
    "MOST_MID_CHANNELS",
    "ON_GPU",
    "describe_part",
    "find_difference",
]


def _temperature(tca: Any) -> float:
    """Return τ of DMSCA, or 0 if it is learned."""
    return tca.temperature or 0.0


KERNELS: dict[str, Callable[[Any], list[float]]] = {
    "ca": lambda module: [],
    "cbam": lambda module: [],
    "dmsca": lambda module: [_temperature(children_of(module)["tca"])],  # module.tca would take longer
    "simam": lambda module: [module.e_lambda],
}
"""Mechanisms with a kernel (`plan` in `numba/NAME.py`): their numbers, without the eps of norms."""

ON_GPU = {"dmsca": 3}
"""Mechanisms whose inference is one call on a GPU, too (`attend` in `triton/NAME.py`): its most branches."""

MOST_BRANCHES = MOST_MID_CHANNELS = 8
"""The most branches and mid_channels that DMSCA's kernel has room for."""

PARTS = {
    "ca": r"conv norm Hardswish conv conv",
    "cbam": r"conv ReLU conv conv",
    "dmsca": r"conv ReLU conv( conv norm ReLU){1,8} conv norm conv norm ReLU conv conv conv",
    "simam": r"",
}
"""The parts that compute, in the order of the state dict. How foveate's own modules combine them is known."""

CHILDREN: dict[str, tuple[str, ...]] = {
    "ca": ("embed", "rows", "columns"),
    "cbam": ("channel", "spatial"),
    "dmsca": ("gce", "tca", "msce", "dii", "dff", "aa"),
    "simam": (),
}

Shape = tuple[int, ...]


def describe_part(part: Any) -> str:
    """Return the name of a part in PARTS: "" if it only holds others, "?" if no kernel can compute it."""
    kind = type(part)
    if kind in (nn.ReLU, nn.Hardswish):
        return kind.__name__
    if kind in (nn.Sequential, nn.ModuleList) or kind.__module__.startswith("foveate.attention."):
        return "norm" if isinstance(part, nn.BatchNorm2d) else ""
    if kind is not nn.Conv2d:
        return "?"
    k = part.kernel_size[0]
    usual = ((k, k), (1, 1), (1, 1), 1, (k // 2, k // 2), "zeros")
    own = (part.kernel_size, part.stride, part.dilation, part.groups, part.padding, part.padding_mode)
    return "conv" if own == usual else "?"


def find_difference(
    mechanism: str, children: Sequence[str], parts: Sequence[str], weights: Sequence[Tensor]
) -> str | None:
    """Return in a sentence how a module differs from what the kernel of `mechanism` computes, or None.

    `children` are the names of its own parts: one that is deleted and set again comes last.
    """
    if tuple(children) != CHILDREN[mechanism]:
        return f"the module's parts are not {', '.join(CHILDREN[mechanism]) or 'none'}, in this order"
    if not re.fullmatch(PARTS[mechanism], " ".join(filter(None, parts))):
        return "the module's parts are not those of its equations, or too many for the kernel"
    shapes = [tuple(weight.shape) for weight in weights]
    if mechanism == "simam":
        return None
    if shapes != _shapes(mechanism, shapes):
        return "a weight of the module does not have the shape that the equations give it"
    mid = weights[-15].shape[0] if mechanism == "dmsca" else 0
    if mid > MOST_MID_CHANNELS:
        return f"the kernel takes at most {MOST_MID_CHANNELS} mid_channels"
    return None


def _shapes(mechanism: str, found: Sequence[Shape]) -> list[Shape]:
    """Return all shapes, derived from those of the weights whose size is an option."""
    R, C = found[0][:2]
    squeeze, excite = (R, C, 1, 1), (C, R, 1, 1)
    if mechanism == "cbam":
        k = found[-1][-1] if found[-1] else 0
        return [squeeze, (R,), excite, (C,), (1, 2, k, k)]
    if mechanism == "ca":
        return [squeeze, *4 * [(R,)], excite, (C,), excite, (C,)]
    M = found[-15][0] if len(found) > 15 and found[-15] else 0
    learned = [()] if len(found) > 2 and found[2] == () else []
    branches = [shape for shape in found[2 + len(learned) : -15] if len(shape) == 4]
    return [
        *(squeeze, excite, *learned),
        *(shape for _, _, _, k in branches for shape in ((1, 2, k, k), *4 * [(1,)])),
        *((M, C, 1, 1), *4 * [(M,)], (M, 2 * M, 3, 3), *4 * [(M,)]),
        *((C, M, 1, 1), (2, 2 * C, 1, 1), (2,), (1, C, 1, 1), (1,)),
    ]
