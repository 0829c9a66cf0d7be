"""The layer whose maps a class activation map is made of: the last stage's end, or what comes closest."""

from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, first_line, unknown_name
from foveate.models.checkpoint.state_dicts import unwrap
from foveate.models.sites.dry_run import input_channels
from foveate.models.sites.find import check_model, sites

__all__ = ["default_layer", "find_layer"]

SIZES = (224, 32)
# Networks of tokens, and those that keep their channels last. A ViT reads its answer off the class token, and
# nothing of the other tokens reaches that behind the last attention: what goes into the attention does.
LAYERS = {
    "timm.models.swin_transformer.SwinTransformer": "norm",
    "timm.models.swin_transformer_v2.SwinTransformerV2": "norm",
    "timm.models.vision_transformer.VisionTransformer": "blocks.-1.norm1",
    "torchvision.models.swin_transformer.SwinTransformer": "permute",
    "torchvision.models.vision_transformer.VisionTransformer": "encoder.layers.-1.ln_1",
}


def default_layer(model: nn.Module, images: Tensor | None = None) -> str:
    """Return the path of the module whose output Grad-CAM weighs, unless a person names another.

    In a network that `sites` knows, it is the end of the last stage (in DenseNets the norm behind it), in ViT
    and Swin the layers above; in any other the last module that gives a map (B, C, H, W) larger than 1×1. The
    model is run on `images`, or one of zeros, where that has to be found out. With `images` a stage whose map
    is 1×1 for them is passed over.

    Raises RequestError where there is none, with the layers that could be named.
    """
    check_model(model)
    model = unwrap(model)
    for cls in type(model).__mro__:
        if path := LAYERS.get(f"{cls.__module__}.{cls.__qualname__}"):
            return _counted(model, path)
    ends = [site.path for site in sites(model, "stage")]
    if ends and images is None:
        return ends[-1]
    shapes = _shapes(model, images)
    ends = ends or [path for path in shapes if path]
    for path in reversed(ends):
        shape = shapes.get(path, ())
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


def _counted(model: nn.Module, path: str) -> str:
    """Write -1 in `path` as the name of the last child."""
    steps: list[str] = []
    for step in path.split("."):
        children = [*dict(model.get_submodule(".".join(steps)).named_children())]
        steps.append(children[-1] if step == "-1" else step)
    return ".".join(steps)


def _inside_attention(model: nn.Module, path: str) -> bool:
    """Whether the module is inside of a multi-head attention, whose tensors by head only look like maps."""
    steps = path.split(".")
    around = (".".join(steps[:count]) for count in range(1, len(steps)))
    return any(hasattr(model.get_submodule(one), "num_heads") for one in around)


def _shapes(model: nn.Module, images: Tensor | None) -> dict[str, tuple[int, ...]]:
    """The shape of what each module gives, in the order in which they end, by one forward in eval mode."""
    shapes: dict[str, tuple[int, ...]] = {}

    def listen(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes.pop(path, None)
                shapes[path] = tuple(output.shape)

        return hook

    modes = [(module, module.training) for module in model.modules()]
    handles = [module.register_forward_hook(listen(path)) for path, module in model.named_modules()]
    fault: Exception | None = None
    try:
        model.eval()
        for example in [images[:1]] if images is not None else _examples(model):
            shapes.clear()
            try:
                with torch.no_grad():
                    model(example)
                return shapes
            except Exception as error:  # each network refuses in its own way
                fault = error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    assert fault is not None
    raise RequestError(
        f"{type(model).__name__} could not be run to look for a layer ({first_line(fault)}): name one with "
        "--layer"
    ) from fault


def _examples(model: nn.Module) -> list[Tensor]:
    said = getattr(model, "pretrained_cfg", None) or {}
    sizes = [tuple(said["input_size"][1:])] if said.get("input_size") else []
    like = next(model.parameters(), torch.empty(0))
    return [
        torch.zeros(1, input_channels(model), *size, dtype=like.dtype, device=like.device)
        for size in (*sizes, *((side, side) for side in SIZES))
    ]
