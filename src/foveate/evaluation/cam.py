"""Where a network looked: Grad-CAM and Grad-CAM++ by the grad-cam package, a batch at a time.

Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391; Chattopadhay et al., "Grad-CAM++", WACV 2018,
arXiv:1710.11063.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.errors import RequestError, unknown_name
from foveate.evaluation.feature_maps import feature_map

__all__ = ["METHODS", "cam_maps", "check_method"]

METHODS = {"gradcam++": "GradCAMPlusPlus", "gradcam": "GradCAM"}
"""Names of the package's classes."""


def check_method(method: str) -> str:
    """Return `method` if there is such a one, else raise RequestError."""
    if method not in METHODS:
        raise RequestError(unknown_name("method", str(method), METHODS))
    return method


def cam_maps(
    network: nn.Module,
    layer: str,
    images: Tensor,
    method: str = "gradcam++",
    targets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Maps (B, H, W) of what in `images` (B, C, H, W), normalised, spoke for a class, and logits (B, K).

    `layer` is the path of the module whose maps are weighed, `targets` (B,) are the classes asked about, None
    the one that the network answers. Every map runs from 0 to 1, at the size of the images; one of equal
    values throughout, such as where nothing spoke for the class, is 0. Both results are float32 on the CPU.
    The network runs in float32, autocast or not; it is given without what compiling and training in parallel
    put around it.

    The network is run in eval mode; modes, hooks, gradients and what requires them are as they were when it
    returns or raises. Only what lies behind the layer is differentiated. Not for two threads on one network
    at once.

    Raises RequestError for an unknown method or layer, a layer without maps (see `feature_map`), one that
    does not run once, or that the output does not depend on, a network of another dtype; and without the
    package.
    """
    library = _library(check_method(method))
    modules = dict(network.named_modules())
    if layer not in modules:
        raise RequestError(unknown_name(f"layer of {type(network).__name__}", layer, filter(None, modules)))
    size = (images.shape[2], images.shape[3])
    runs = 0

    def begin(module: nn.Module, args: Any, output: Any) -> Tensor:
        nonlocal runs
        runs += 1
        given = feature_map(network, layer, output, size)  # refuses what is no map
        if given.dtype != torch.float32:
            raise RequestError(
                f"layer {layer!r} of {type(network).__name__} gives {_named(given.dtype)}, of which no maps "
                "are made: give it in float32, by network.float()"
            )
        torch.set_grad_enabled(True)
        # The graph begins here. A copy, because some networks go on in place.
        return output.detach().requires_grad_().clone()

    def as_map(output: Tensor) -> Tensor:
        return feature_map(network, layer, output, size).clone()

    def score(number: int) -> Callable[[Tensor], Tensor]:
        def of(logits: Tensor) -> Tensor:
            if not logits.requires_grad:
                raise RequestError(
                    f"the output of {type(network).__name__} does not depend on layer {layer!r}, or that "
                    "layer does not run: name another"
                )
            return logits[logits.argmax() if targets is None else int(targets[number])]

        return of

    # The package does not take what autocast gives to numpy.
    whole = torch.autocast(images.device.type, enabled=False)
    with _as_it_was(network), whole, torch.inference_mode(False), torch.no_grad():
        beginning = modules[layer].register_forward_hook(begin)
        cam = None
        try:
            cam = library(network, [modules[layer]], reshape_transform=as_map)
            maps = cam(images.detach(), [score(number) for number in range(len(images))])
            if runs > 1:
                raise RequestError(
                    f"layer {layer!r} of {type(network).__name__} runs {runs} times in a forward pass: name "
                    "one that runs once"
                )
            logits = cam.outputs.detach().float().cpu()
        finally:
            beginning.remove()
            if cam is not None:
                cam.activations_and_grads.release()
    highest = maps.max(
        axis=(1, 2), keepdims=True
    )  # below 1 where little spoke: the package divides by 1e-7 more
    return torch.from_numpy(np.divide(maps, highest, out=maps, where=highest > 0)), logits


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _library(method: str) -> Any:
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise RequestError(
            f"{method} needs the package grad-cam: pip install 'foveate[explain]' ({error})"
        ) from error
    return getattr(pytorch_grad_cam, METHODS[method])


@contextmanager
def _as_it_was(network: nn.Module) -> Iterator[None]:
    """Let the package have its way with modes and gradients, and put everything back."""
    modes = [(module, module.training) for module in network.modules()]
    parameters = [(one, one.requires_grad, one.grad) for one in network.parameters()]
    try:
        for parameter, _, _ in parameters:
            parameter.requires_grad = False
            parameter.grad = None
        yield
    finally:
        for parameter, required, gradient in parameters:
            parameter.requires_grad = required
            parameter.grad = gradient
        for module, training in modes:
            module.training = training
