"""The layer for class activation maps: the end of the last stage, or the nearest equivalent."""

import math
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, first_line, unknown_name
from foveate.models.sites.find import check_model, resolve_path, sites
from foveate.models.sites.forward_pass import example_images
from foveate.models.sites.wrappers import unwrap
from foveate.modes import evaluating

__all__ = ["default_layer", "find_layer"]

# Networks of tokens, and those that keep channels last. A ViT classifies by the class token alone, which the
# other tokens no longer reach after the last attention: the layer is the input of that attention.
LAYERS = {
    "timm.models.maxxvit.MaxxVit": "stages.-1.blocks.-1",
    "timm.models.swin_transformer.SwinTransformer": "norm",
    "timm.models.swin_transformer_v2.SwinTransformerV2": "norm",
    "timm.models.vision_transformer.VisionTransformer": "blocks.-1.norm1",
    "torchvision.models.swin_transformer.SwinTransformer": "permute",
    "torchvision.models.vision_transformer.VisionTransformer": "encoder.layers.-1.ln_1",
}


def default_layer(model: nn.Module, images: Tensor | None = None) -> str:
    """Return the path of the module whose output Grad-CAM weighs by default.

    In a network that `sites` knows, it is the end of the last stage (in DenseNets the norm after it), in ViT
    and Swin the layers above; in any other, the last module that gives a map (B, C, H, W) larger than 1×1.
    The model is run on `images`, or on zeros, where that has to be measured. Stages whose maps are 1×1 for
    `images` are skipped.

    Raises RequestError where there is none, with the layers that can be named instead.
    """
    check_model(model)
    model = unwrap(model)
    ends = {site.path: site.channels for site in sites(model, "stage")}
    for cls in type(model).__mro__:
        if path := LAYERS.get(f"{cls.__module__}.{cls.__qualname__}"):
            path = resolve_path(model, path)
            if len(ends) < 2:  # a ViT has one grid
                return path
            ends[path] = list(ends.values())[-1]
    if ends and images is None:
        return list(ends)[-1]
    shapes = _shapes(model, images)
    for path, channels in reversed(ends.items()):
        if path in shapes and math.prod(shapes[path][1:]) > channels:  # in each layout, tokens included
            return path
    for path in reversed([] if ends else [path for path in shapes if path]):
        shape = shapes[path]
        if len(shape) == 4 and shape[2] * shape[3] > 1 and not _inside_attention(model, path):
            return path
    named = [path for path, shape in shapes.items() if path and len(shape) in (3, 4)][-8:]
    raise RequestError(
        f"no layer of {type(model).__name__} gives a map (B, C, H, W) larger than 1×1"
        + (f" for images of {images.shape[2]}×{images.shape[3]}" if images is not None else "")
        + f". Name one with --layer: {', '.join(named) or 'none of its modules gives tokens or maps'}"
    )


def find_layer(model: nn.Module, name: str) -> str:
    """Return `name` if a module of `model` has it, else raise RequestError with the nearest ones."""
    modules = dict(unwrap(model).named_modules())
    if name not in modules:
        raise RequestError(unknown_name(f"layer of {type(model).__name__}", name, filter(None, modules)))
    return name


def _inside_attention(model: nn.Module, path: str) -> bool:
    """Return whether the module is inside of multi-head attention, whose tensors of 4 axes are no maps."""
    steps = path.split(".")
    around = (".".join(steps[:count]) for count in range(1, len(steps)))
    return any(hasattr(model.get_submodule(one), "num_heads") for one in around)


def _shapes(model: nn.Module, images: Tensor | None) -> dict[str, tuple[int, ...]]:
    """Return the shape of each module's output, in the order in which they end, in evaluation mode."""
    shapes: dict[str, tuple[int, ...]] = {}

    def recorder(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes.pop(path, None)
                shapes[path] = tuple(output.shape)

        return hook

    fault: Exception | None = None
    with ExitStack() as undo:
        undo.enter_context(evaluating(model))
        undo.enter_context(torch.no_grad())
        for path, module in model.named_modules():
            undo.callback(module.register_forward_hook(recorder(path)).remove)
        for example in [images[:1]] if images is not None else example_images(model):
            shapes.clear()
            try:
                model(example)
            except Exception as error:  # each network refuses in its own way
                fault = error
            else:
                return shapes
    assert fault is not None  # there is at least one example
    raise RequestError(
        f"{type(model).__name__} could not be run to look for a layer ({first_line(fault)}): name one with "
        "--layer"
    ) from fault
