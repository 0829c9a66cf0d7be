"""A network traced by torch.export, for as many image sizes as the network and torch allow."""

import io
import traceback
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from foveate.errors import RequestError, first_line
from foveate.kernels import only_reference
from foveate.models.sites.forward_pass import input_channels, on_meta, timm_config

__all__ = [
    "Bounds",
    "depends_on_values",
    "example_answer",
    "image_shape",
    "in_words",
    "size_bounds",
    "trace",
    "within",
]

Bounds = tuple[int, int | None]
"""The smallest and the largest size of an axis; None: there is no largest."""


def image_shape(network: nn.Module, image_size: int | None) -> tuple[int, int, int]:
    """Return (C, H, W): the channels of the first convolution, and the size asked for or declared."""
    if image_size is not None and image_size < 1:
        raise RequestError(f"image_size must be 1 or more, got {image_size}")
    _, height, width = timm_config(network).get("input_size") or (3, 224, 224)
    channels = input_channels(network)
    return (channels, image_size, image_size) if image_size else (channels, height, width)


def example_answer(network: nn.Module, shape: tuple[int, int, int], name: str) -> Any:
    """Return what `network` gives for an image of `shape` (C, H, W); RequestError where it takes none."""
    try:
        return network(torch.zeros(1, *shape))
    except Exception as error:  # each network refuses in its own way
        raise RequestError(
            f"{name} cannot take images of shape {shape} ({first_line(error)}): give another image size"
        ) from error


@only_reference()  # a program carries no kernel of ours with it
def trace(
    network: nn.Module, shape: tuple[int, int, int], *, at_least: int = 1, one_image: bool = False
) -> tuple[ExportedProgram, str | None]:
    """Trace on images of `shape` (C, H, W), H and W raised to `at_least`: a dynamic batch, height and width.

    Where the network or torch.export refuses those, it is traced at `shape` with a dynamic batch alone, and
    the second value is the reason. With `one_image` the batch is one image of that shape.
    """
    if one_image:
        return _export(
            network, torch.zeros(1, *shape), {}
        ), "the network returns a list with an entry for each image"
    channels, height, width = shape
    if fault := _fault_at(network, (1, channels, 2 * height, 2 * width)):
        why = f"the network takes no other: {first_line(fault)}"
    else:
        images = torch.zeros(2, channels, max(height, at_least), max(width, at_least))
        axes = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
        try:
            return _export(network, images, axes), None
        except Exception as error:  # and so does torch.export
            why = f"torch.export holds them: {first_line(error)}"
    return _export(network, torch.zeros(2, *shape), {0: Dim.DYNAMIC}), why


def _export(network: nn.Module, images: Tensor, axes: dict[int, Any]) -> ExportedProgram:
    """Trace `network` on `images`, of which `axes` are dynamic; torch prints its whole graph if it fails."""
    with redirect_stderr(io.StringIO()):
        return torch.export.export(network, (images,), dynamic_shapes=(axes,), strict=False)


def _fault_at(network: nn.Module, shape: tuple[int, ...]) -> Exception | None:
    """Return what the network raises for images of `shape`; it runs on the meta device where it can."""
    fault: Exception | None = None
    for device in ("meta", "cpu"):
        try:
            (on_meta(network) if device == "meta" else network)(torch.zeros(shape, device=device))
        except Exception as error:  # each network refuses in its own way
            fault = error
        else:
            return None
    return fault


def depends_on_values(network: nn.Module, what: str, error: Exception) -> str:
    """Say where the network decides by values, which torch.export cannot follow, and what to do instead."""
    own = Path(torch.__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if own not in Path(frame.filename).parents
    ]
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name}"
    children = [name for name, _ in network.named_children()]
    part = "backbone" if "backbone" in children else children[0]
    return (
        f"cannot export {what}: how it goes on depends on the values of a tensor ({place}), as in a detector "
        "that keeps the best boxes, and torch.export was tried and cannot follow that. Export a part that "
        f"only computes maps, as in foveate.export(model.{part}, …), and run the rest in Python"
    )


def size_bounds(program: ExportedProgram) -> tuple[dict[str, Bounds], dict[str, str]]:
    """Return the bounds of "batch", "height" and "width", and which of them each symbol of torch's is."""
    images = next(node for node in program.graph.nodes if node.name == program.graph_signature.user_inputs[0])
    bounds: dict[str, Bounds] = {}
    symbols = {}
    for axis, position in (("batch", 0), ("height", 2), ("width", 3)):
        size = images.meta["val"].shape[position]
        if isinstance(size, int):
            bounds[axis] = (size, size)
            continue
        symbols[str(size)] = axis
        limits = program.range_constraints[size.node.expr]
        lower, upper = int(limits.lower), limits.upper
        # torch.export says "from 2" of whatever it traced at 2 or more, and takes 1 all the same.
        bounds[axis] = (1 if lower <= 2 else lower, int(upper) if upper < 2**31 else None)
    return bounds, symbols


def within(size: int, bounds: Bounds) -> bool:
    """Whether an axis takes `size`."""
    lower, upper = bounds
    return lower <= size and (upper is None or size <= upper)


def in_words(bounds: Bounds) -> str:
    """Write bounds as "any", "from 64", "32 to 63", or as the one size that there is, "224"."""
    lower, upper = bounds
    if upper is None:
        return "any" if lower == 1 else f"from {lower}"
    return str(lower) if lower == upper else f"{lower} to {upper}"
